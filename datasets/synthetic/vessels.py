"""Pulmonary vessels and bronchi of the phantom: a random branching tree per lung."""

from dataclasses import dataclass

import cv2
import numpy as np

from datasets.synthetic.shapes import LUNG_HEIGHT, Anatomy, Frame

NUM_STEMS = 40  # segmental arteries and veins per lung
NUM_GENERATIONS = 7
RADIUS_RATIO = 0.79  # Murray's law for two equal daughters: 2 ** (-1 / 3)
MAX_RADIUS = 6.0  # units; nothing in the tree is thicker
SAMPLE_STEP = 1.3  # units between the balls which make up a branch


@dataclass(frozen=True)
class VesselTree:
    """Branches as balls in rows of x, y, z, radius (units), sorted by z."""

    vessels: np.ndarray
    bronchi: np.ndarray


def _normalise(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _sample(start: np.ndarray, end: np.ndarray, radius: np.ndarray, taper: float) -> np.ndarray:
    """Balls along straight branches; the radius shrinks to `taper` of itself at the end."""
    length = np.linalg.norm(end - start, axis=1).max()
    steps = np.linspace(0, 1, max(2, int(length / SAMPLE_STEP)))[:, None, None]
    points = start + (end - start) * steps
    radii = radius[:, None] * (1 - (1 - taper) * steps)
    return np.concatenate([points, np.broadcast_to(radii, (*points.shape[:2], 1))], 2).reshape(
        -1, 4
    )


def _grow(rng: np.random.Generator, hilum: np.ndarray, side: int, thick: float) -> VesselTree:
    """Grow one lung's tree from its hilum; `side` is -1 for the image-left lung."""
    spread = rng.normal(0, 1, (NUM_STEMS, 3)) * (0.45, 0.85, 0.85) + (side * 0.7, 0.15, 0.1)
    direction = _normalise(spread)
    start = hilum + rng.normal(0, (2, 5, 22), (NUM_STEMS, 3))
    radius = np.exp(rng.normal(0.32, 0.33, NUM_STEMS)) * thick
    balls, bronchi = [], []
    for generation in range(NUM_GENERATIONS):
        length = rng.uniform(9, 22, len(start)) * (1.25 - 0.09 * generation)
        bend = direction + rng.normal(0, 0.15, direction.shape)
        end = start + _normalise(bend) * length[:, None]
        balls.append(_sample(start, end, radius, 0.85))
        if generation < 3:  # every second vessel is an artery with a bronchus beside it
            beside = np.cross(direction, rng.normal(0, 1, 3))[::2]
            shift = _normalise(beside) * radius[::2, None] * 1.9
            bronchi.append(_sample(start[::2] + shift, end[::2] + shift, radius[::2] * 0.75, 0.85))
        angle = rng.normal(0, 0.42, (2, *direction.shape))
        direction = _normalise(np.concatenate([direction + angle[0], direction + angle[1]]))
        ratio = RADIUS_RATIO * np.exp(rng.normal(0, 0.12, 2 * len(radius)))
        radius = np.concatenate([radius, radius]) * ratio
        start = np.concatenate([end, end])
    return VesselTree(np.concatenate(balls), np.concatenate(bronchi))


def _sorted(balls: np.ndarray) -> np.ndarray:
    return balls[np.argsort(balls[:, 2])].astype(np.float32)


def make_vessels(rng: np.random.Generator, anatomy: Anatomy) -> VesselTree:
    """Vessels and bronchi of both lungs of one patient."""
    thick = np.exp(rng.normal(0, 0.1))
    trees = []
    for side in (-1, 1):
        hilum = np.array([side * rng.uniform(24, 30), rng.uniform(-2, 8), 0.46 * LUNG_HEIGHT])
        trees.append(_grow(rng, hilum, side, thick))
    vessels = np.concatenate([tree.vessels for tree in trees])
    bronchi = np.concatenate([tree.bronchi for tree in trees])
    bronchi = bronchi[bronchi[:, 3] > 0.8]  # thinner ones are invisible on CT
    return VesselTree(_sorted(vessels[vessels[:, 3] > 0.3]), _sorted(bronchi))


def _cut(balls: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Balls which the slice at depth z cuts, thick ones last, and the radii of its discs."""
    low, high = np.searchsorted(balls[:, 2], (z - MAX_RADIUS, z + MAX_RADIUS))
    near = balls[low:high]
    near = near[np.abs(near[:, 2] - z) < np.maximum(near[:, 3], 0.9)]
    near = near[np.argsort(near[:, 3], kind="stable")]
    height = np.minimum(np.abs(near[:, 2] - z), 0.9 * near[:, 3])
    return near, np.sqrt(near[:, 3] ** 2 - height**2)


def draw_vessels(frame: Frame, balls: np.ndarray, z: float, grow: float = 0.0) -> np.ndarray:
    """Coverage (H, W) uint8 of the branches in the slice at depth z.

    Args:
        frame: The patient's frame.
        balls: `VesselTree.vessels` or `VesselTree.bronchi`.
        z: Depth of the slice, units.
        grow: Added to every radius, units: bronchial walls.
    """
    canvas = frame.canvas()
    near, radius = _cut(balls, z)
    radius_px = (radius + grow) * frame.scale
    inside = np.abs(frame.fixed(near[:, :2]) // 16 - frame.size // 2).max(1, initial=0)
    # A disc thinner than a pixel fills only a part of it.
    levels = np.minimum(255, 255 * (radius_px / 0.75) ** 1.3).astype(int).tolist()
    centers = frame.fixed(near[:, :2]).tolist()
    radii = np.maximum(np.rint(radius_px * 16), 8).astype(int).tolist()
    for center, r, level, far in zip(centers, radii, levels, inside.tolist(), strict=True):
        if far < frame.size // 2:
            cv2.circle(canvas, center, r, level, -1, cv2.LINE_AA, 4)
    return canvas
