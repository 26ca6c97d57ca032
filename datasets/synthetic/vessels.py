"""Pulmonary vessels and bronchi of the phantom: curved trees that branch until they fill the lung.

A tree is grown towards points strewn over the lung: a branch runs from its parent towards the
middle of its points and halves them among its daughters, until each has one. Radii follow the
number of points that a branch supplies.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from datasets.synthetic.shapes import LUNG_HEIGHT, Anatomy, Frame

NUM_GENERATIONS = 10  # a tree has 2 ** 10 ends; arteries and veins are a tree each per lung
RADIUS_EXPONENT = (0.27, 0.345)  # of a patient; Murray's law has 1 / 3
END_RADIUS = 0.46  # units; 0.6 mm
MAX_RADIUS = 6.0  # units; nothing in the tree is thicker
SAMPLE_STEP = 1.0  # units between the balls which make up a branch
LEAST_BRONCHUS = 50  # ends that an artery supplies if the bronchus beside it is seen on CT


@dataclass(frozen=True)
class VesselTree:
    """Branches as balls in rows of x, y, z, radius (units), sorted by z."""

    vessels: np.ndarray
    bronchi: np.ndarray


def _normalise(vectors: np.ndarray) -> np.ndarray:
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-6)


def _sample(
    start: np.ndarray, end: np.ndarray, heading: np.ndarray, radius: np.ndarray, taper: np.ndarray
) -> np.ndarray:
    """Balls along curved branches, which leave `start` along `heading`; the radius tapers."""
    length = np.linalg.norm(end - start, axis=1, keepdims=True)
    control = start + heading * (0.45 * length)
    counts = np.maximum(2, np.ceil(length[:, 0] / SAMPLE_STEP)).astype(int)
    branch = np.repeat(np.arange(len(start)), counts)
    first = np.cumsum(counts) - counts
    t = ((np.arange(len(branch)) - first[branch]) / (counts[branch] - 1))[:, None]
    points = (1 - t) ** 2 * start[branch] + 2 * t * (1 - t) * control[branch] + t**2 * end[branch]
    radii = radius[branch, None] * (1 - (1 - taper[branch, None]) * t)
    return np.concatenate([points, radii], 1)


def _strew(rng: np.random.Generator, anatomy: Anatomy, number: int, count: int) -> np.ndarray:
    """Points (count, 3) in lung `number`, denser towards the pleura, none within the domes."""
    z = rng.uniform(0.0, 1.03, 6 * count) * LUNG_HEIGHT
    levels = np.linspace(0, LUNG_HEIGHT, 18)
    contours = np.stack([anatomy.lung_contour(number, level) for level in levels])
    nearest = np.rint(np.clip(z / LUNG_HEIGHT, 0, 1) * 17).astype(int)
    rim = contours[nearest, rng.integers(0, 96, len(z))]
    middle = contours.mean(1)[nearest]
    reach = 0.98 * np.sqrt(rng.uniform(0, 1, len(z)))[:, None]
    points = np.concatenate([middle + (rim - middle) * reach, z[:, None]], 1)
    x, y, top, wide, high, _ = anatomy.domes[number]
    bowl = ((points[:, 0] - x) / wide) ** 2 + ((points[:, 1] - y) / high) ** 2
    points = points[z < top + 52 * bowl]
    return points[:count]


def _grow(
    rng: np.random.Generator, root: np.ndarray, points: np.ndarray, thick: float, exponent: float
) -> tuple[np.ndarray, np.ndarray]:
    """Balls of one tree, and of the bronchi beside it."""
    parent, heading = root[None], _normalise(points.mean(0) - root)[None]
    points = points[None]
    balls, bronchi = [], []
    for _ in range(NUM_GENERATIONS + 1):
        groups, ends, _ = points.shape
        middle = points.mean(1)
        share = rng.uniform(0.3, 0.6, (groups, 1)) if ends > 1 else 1.0
        node = parent + share * (middle - parent)
        radius = END_RADIUS * ends**exponent * thick
        radius = np.minimum(radius * np.exp(rng.normal(0, 0.1, groups)), MAX_RADIUS)
        taper = np.full(groups, 0.85)
        balls.append(_sample(parent, node, heading, radius, taper))
        if LEAST_BRONCHUS <= ends < 2**NUM_GENERATIONS:
            beside = _normalise(np.cross(node - parent, rng.normal(0, 1, 3)))
            shift = beside * (1.8 * radius[:, None])
            lumen = _sample(parent + shift, node + shift, heading, 0.8 * radius, taper)
            bronchi.append(lumen)
        if ends == 1:
            break
        heading = np.repeat(_normalise(_normalise(node - parent) + 0.3 * heading), 2, 0)
        parent = np.repeat(node, 2, 0)
        spread = (points - middle[:, None]) * (1, 1, 1.6)  # slabs first: branches then run level
        axis = np.einsum("gpi,gpj,gj->gi", spread, spread, rng.normal(0, 1, (groups, 3)))
        order = np.argsort(np.einsum("gpi,gi->gp", spread, axis), axis=1)
        points = np.take_along_axis(points, order[:, :, None], 1).reshape(2 * groups, ends // 2, 3)
    return np.concatenate(balls), np.concatenate(bronchi)


def _sorted(balls: np.ndarray) -> np.ndarray:
    return balls[np.argsort(balls[:, 2])].astype(np.float32)


def make_vessels(rng: np.random.Generator, anatomy: Anatomy) -> VesselTree:
    """Vessels and bronchi of both lungs of one patient."""
    thick, exponent = np.exp(rng.normal(0, 0.12)), rng.uniform(*RADIUS_EXPONENT)
    vessels, bronchi = [], []
    for number, side in enumerate((-1, 1)):
        hilum = np.array([side * rng.uniform(19, 24), rng.uniform(-4, 6), 0.48 * LUNG_HEIGHT])
        for depth in (0, 14):  # arteries, and veins, which meet further down
            points = _strew(rng, anatomy, number, 2**NUM_GENERATIONS)
            root = hilum + np.array([0, -0.3 * depth, depth])
            tree, lumen = _grow(rng, root, points, thick, exponent)
            vessels.append(tree)
            if depth == 0:
                bronchi.append(lumen)
    return VesselTree(_sorted(np.concatenate(vessels)), _sorted(np.concatenate(bronchi)))


def _cut(balls: np.ndarray, z: float, half: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Balls which a slice of z +- half cuts, thick ones last; their discs' radii, their share."""
    low, high = np.searchsorted(balls[:, 2], (z - MAX_RADIUS, z + MAX_RADIUS))
    near = balls[low:high]
    near = near[np.abs(near[:, 2] - z) < np.maximum(near[:, 3], half)]
    near = near[np.argsort(near[:, 3], kind="stable")]
    height = np.minimum(np.abs(near[:, 2] - z), 0.9 * near[:, 3])
    share = np.minimum(1, 1.5 * near[:, 3] / half)
    return near, np.sqrt(near[:, 3] ** 2 - height**2), share


def draw_vessels(
    frame: Frame, balls: np.ndarray, z: float, half: float, grow: float = 0.0
) -> np.ndarray:
    """Coverage (H, W) uint8 of the branches in the slice at depth z.

    Args:
        frame: The patient's frame.
        balls: `VesselTree.vessels` or `VesselTree.bronchi`.
        z: Depth of the slice, units.
        half: Half the thickness of the slice, units; it fades what is thinner.
        grow: Added to every radius, units: bronchial walls.
    """
    canvas = frame.canvas()
    near, radius, share = _cut(balls, z, half)
    radius_px = (radius + grow) * frame.scale
    inside = np.abs(frame.fixed(near[:, :2]) // 16 - frame.size // 2).max(1, initial=0)
    # A disc thinner than a pixel fills only a part of it.
    levels = np.minimum(255, 255 * share * (radius_px / 0.7) ** 1.2).astype(int).tolist()
    centers = frame.fixed(near[:, :2]).tolist()
    radii = np.maximum(np.rint(radius_px * 16), 8).astype(int).tolist()
    for center, r, level, far in zip(centers, radii, levels, inside.tolist(), strict=True):
        if far < frame.size // 2:
            cv2.circle(canvas, center, r, level, -1, cv2.LINE_AA, 4)
    return canvas
