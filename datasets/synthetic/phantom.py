"""Draw one axial slice of the phantom anatomy in HU (shapes: `datasets.synthetic.shapes`)."""

from dataclasses import dataclass

import cv2
import numpy as np

from datasets.synthetic.body import draw_body
from datasets.synthetic.shapes import (
    AIR,
    FAT,
    HEART,
    LIVER,
    LUNG_HEIGHT,
    SOFT,
    Anatomy,
    Frame,
    level_of,
)
from datasets.synthetic.vessels import VesselTree, draw_vessels


@dataclass(frozen=True)
class Textures:
    """Unit-variance noise fields of one patient, drawn once and reused with other offsets."""

    white: np.ndarray
    fine: np.ndarray
    medium: tuple[np.ndarray, np.ndarray]
    coarse: tuple[np.ndarray, np.ndarray]

    @staticmethod
    def make(rng: np.random.Generator, size: int) -> "Textures":
        """Fields with a margin; blur widths follow the image size."""
        unit, side = size / 256, size + size // 4

        def field(sigma: float) -> np.ndarray:
            white = rng.standard_normal((side, side), dtype=np.float32)
            blurred = cv2.GaussianBlur(white, (0, 0), sigma)
            return blurred / blurred.std()

        return Textures(
            white=rng.standard_normal((side, side), dtype=np.float32),
            fine=field(max(0.75 * unit, 0.5)),
            medium=(field(2.0 * unit), field(2.0 * unit)),
            coarse=(field(6.0 * unit), field(6.0 * unit)),
        )

    def random(self, rng: np.random.Generator, name: str, size: int) -> np.ndarray:
        """A crop (size, size) at a random offset: unrelated from slice to slice."""
        field = getattr(self, name)
        top, left = rng.integers(0, field.shape[0] - size, 2)
        return field[top : top + size, left : left + size]

    def drifting(self, name: str, z: float, period: float, size: int) -> np.ndarray:
        """A crop which changes smoothly with depth z, over about `period` units."""
        first, second = getattr(self, name)
        phase = np.pi * z / (2 * period)
        cos, sin = np.float32(np.cos(phase)), np.float32(np.sin(phase))
        return cos * first[:size, :size] + sin * second[-size:, -size:]


@dataclass
class Layers:
    """The slice before lesions: everything outside the lungs, the lungs, and what lies in them."""

    soft: np.ndarray  # HU with lungs filled in as soft tissue
    lung: np.ndarray  # coverage 0..1
    lung_hu: np.ndarray
    vessel: np.ndarray  # coverage 0..1
    airway: np.ndarray  # coverage 0..1 of bronchial lumen
    pleura: np.ndarray  # (H, W) uint8, both chest cavities before mediastinum and diaphragm
    distance: np.ndarray  # units to the nearest lung border, 0 outside


def _mediastinum(anatomy: Anatomy, z: float) -> list[tuple]:
    """Ellipses (centre, radii, HU, angle) which lie between or over the lungs at depth z."""
    t = z / LUNG_HEIGHT
    x, y, wide, high, angle = anatomy.heart
    parts = [((0, 46), (18, 19), SOFT, 0), ((2, -6), (17 + 10 * t, 28), SOFT - 10, 0)]
    if t < 0.55:
        parts.append(((3, -24), (14 + 24 * t, 18 + 12 * t), SOFT - 5, 0))
    rise = 1 - ((t - 0.74) / 0.38) ** 2
    if rise > 0:
        size = np.sqrt(rise)
        parts.append(((x * size, y), (wide * size, high * size), HEART, angle))
        parts.append(((-6, y + 8), (20 * size, 0.8 * high * size), HEART, -10))
    near = 1 - ((t - 0.47) / 0.13) ** 2
    if near > 0:  # hila: pulmonary arteries and veins on their way into the lungs
        wave = 8 * np.sin(40 * t + 6 * anatomy.bone_phase)
        for side in (-1, 1):
            parts.append(((side * 20, 2 - 0.5 * wave), (14 * near + 5, 5), SOFT, side * wave * 3))
            parts.append(((side * 25, 8 + wave), (7 * near + 2, 6 * near), SOFT, 0))
    if t > 0.28:
        parts.append(((17, 29), (9.5, 9.5), HEART + 5, 0))
    elif t > 0.2:
        parts.append(((8, 0), (11, 27), HEART + 5, -28))
    return parts


def _draw_airways(frame: Frame, body: np.ndarray, lung: np.ndarray, z: float) -> None:
    """Trachea, carina and the main bronchi on their way to the hila."""
    t = z / LUNG_HEIGHT
    if t < 0.36:
        parts = [(0.0, 6.0, 6.0)]
    elif t < 0.42:
        parts = [(-5.0, 7.0, 6.0), (5.0, 7.0, 6.0)]
    elif t < 0.55:
        out = 8 + (t - 0.42) * 170
        parts = [(-out, 6.0, 5.0), (out, 7.0, 4.5)]
    else:
        parts = []
    for x, y, radius in parts:
        frame.ellipse(body, (x, y), (radius + 1.5, radius + 1.5), level_of(SOFT))
        frame.ellipse(lung, (x, y), (radius + 1.5, radius + 1.5), 0)
        frame.ellipse(body, (x, y), (radius, radius * 0.9), level_of(AIR))
    frame.ellipse(body, (4, 22), (4, 3), level_of(SOFT - 20))  # gullet


def _apply_domes(
    frame: Frame, anatomy: Anatomy, z: float, soft: np.ndarray, lung: np.ndarray
) -> None:
    """Push liver and left upper abdomen into the lungs, with the partial volume of a slice."""
    gas = frame.canvas()
    for bubble in anatomy.gas:
        reach = bubble[3] ** 2 - ((bubble[2] - z) / 1.5) ** 2
        if reach > 1:
            frame.ellipse(gas, bubble[:2], (np.sqrt(reach), 0.8 * np.sqrt(reach)), 255)
    for number, (x, y, top, wide, high) in enumerate(anatomy.domes):
        if z < top - 3:
            continue
        bowl = ((frame.x - x) / wide) ** 2 + ((frame.y - y) / high) ** 2
        cover = np.clip((z - top - 52 * bowl) / 5 + 0.5, 0, 1)
        cover *= frame.x < 8 if number == 0 else frame.x > -2
        inside = cover * (lung > 0)
        value = LIVER if number == 0 else SOFT - (AIR * -1 + SOFT) * (gas.astype(np.float32) / 255)
        soft += inside * (value - soft)
        lung *= 1 - cover


def _lung_tissue(
    frame: Frame, anatomy: Anatomy, textures: Textures, layers: Layers, z: float,
    contours: list[np.ndarray],
) -> None:  # fmt: skip
    """Fill `lung_hu`: density rising to the back, grain of small vessels, fissures, vessels."""
    base, gradient, _, fissure_hu, collapse = anatomy.density
    hu = base + gradient * (frame.y / 60)
    hu += 14 * textures.drifting("coarse", z, 12, frame.size)
    hu += 22 * textures.drifting("medium", z, 3, frame.size)
    shift = int(z * 7) % (frame.size // 4)
    specks = textures.fine[shift : shift + frame.size, shift : shift + frame.size]
    hu += 130 * np.maximum(specks - 1.3, 0)  # end branches too small to be drawn one by one
    # Unlabelled haze of collapsed alveoli along the back of the lung: a real confounder.
    low = np.clip(frame.y / 40, 0, 1) * np.clip(1 - layers.distance / 5, 0, 1)
    hu += max(collapse, np.float32(0)) * low
    fissures = frame.canvas()
    for contour in contours:
        center, half = contour.mean(0), np.ptp(contour, axis=0) / 2
        x = np.linspace(-1, 1, 24)
        y = center[1] - 0.9 * half[1] + half[1] * 2.2 * (1 - z / LUNG_HEIGHT) - 8 * x**2
        frame.stroke(fissures, np.stack([center[0] + x * half[0], y], 1), 110, 1)
    hu += (fissures / np.float32(255)) * (fissure_hu - hu)
    fade = np.clip(layers.distance / 5, 0.1, 1)  # vessels end short of the pleura
    layers.vessel = layers.vessel * fade
    layers.airway = layers.airway * np.clip(layers.distance / 12, 0, 1)
    hu += layers.vessel * (SOFT - hu)
    hu += layers.airway * (-960 - hu)
    layers.lung_hu = hu


def render_layers(
    frame: Frame, anatomy: Anatomy, tree: VesselTree, textures: Textures, z: float,
    rng: np.random.Generator,
) -> Layers:  # fmt: skip
    """Draw the slice at depth z (units below the apex), without lesions, blur or noise."""
    contours = [anatomy.lung_contour(side, z) for side in (0, 1)]
    body = draw_body(frame, anatomy, z, contours, rng)
    lung = frame.canvas()
    for contour in contours:
        frame.fill(lung, contour, 255)
    pleura = lung.copy()
    for center, radii, hu, angle in _mediastinum(anatomy, z):
        frame.ellipse(lung, center, radii, 0, angle)
        if hu != SOFT:
            frame.ellipse(body, center, radii, level_of(hu), angle)
    front = max(contour[:, 1].min() for contour in contours)
    frame.ellipse(body, (0, front + 8), (7, 4), level_of(FAT))
    _draw_airways(frame, body, lung, z)
    soft = body.astype(np.float32) * 8 - 1024
    strands = textures.drifting("medium", z, 4, frame.size)
    soft += np.where(soft > -200, anatomy.density[2] + 9 * strands, 0)
    cover = lung.astype(np.float32) / 255
    _apply_domes(frame, anatomy, z, soft, cover)
    distance = cv2.distanceTransform((cover > 0.5).astype(np.uint8), cv2.DIST_L2, 3) / frame.scale
    lumen = draw_vessels(frame, tree.bronchi, z) / np.float32(255)
    wall = draw_vessels(frame, tree.bronchi, z, grow=0.7) * np.float32(0.45 / 255)
    vessel = np.maximum(draw_vessels(frame, tree.vessels, z) / np.float32(255), wall)
    layers = Layers(soft, cover, soft, vessel, lumen, pleura, distance)
    _lung_tissue(frame, anatomy, textures, layers, z, contours)
    return layers
