"""What lungs show besides COVID-19: fissures, emphysema, nodules, bands, air trapping, gravity.

None of it is labelled, so a network learns to leave it out.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from datasets.synthetic.shapes import LUNG_HEIGHT, SOFT, Anatomy, Frame

FISSURE_HU = (-700.0, 40.0)  # mean and deviation: a plate far thinner than a pixel
EMPHYSEMA_RATE, NODULE_RATE, BAND_RATE, TRAPPING_RATE = 0.15, 0.25, 0.25, 0.2
EMPHYSEMA_HU = -985.0


@dataclass(frozen=True)
class Findings:
    """Harmless or other findings of one patient; lengths in units."""

    bullae: np.ndarray  # (n, 4): x, y, z, radius
    nodules: np.ndarray  # (n, 4): x, y, z, radius
    bands: np.ndarray  # (n, 6): x, y, z of the middle, angle, length, height
    fissure_hu: float
    collapse: float  # HU of the haze of collapsed alveoli along the back
    trapping: float  # HU that lobules with trapped air lack


def _inside(rng: np.random.Generator, anatomy: Anatomy, low: float, reach: float) -> np.ndarray:
    """A point in a lung below `low` of its height, at most `reach` of the way to the pleura."""
    z = rng.uniform(low, 0.95) * LUNG_HEIGHT
    contour = anatomy.lung_contour(rng.integers(2), z)
    middle = contour.mean(0)
    point = middle + (contour[rng.integers(96)] - middle) * reach * np.sqrt(rng.random())
    return np.array([*point, z])


def make_findings(rng: np.random.Generator, anatomy: Anatomy) -> Findings:
    """Draw what a patient has besides the disease."""

    def some(rate: float, most: int, low: float, reach: float, radii: tuple) -> np.ndarray:
        count = rng.integers(1, most) if rng.random() < rate else 0
        rows = [
            (*_inside(rng, anatomy, low, reach), np.exp(rng.uniform(*np.log(radii))))
            for _ in range(count)
        ]
        return np.array(rows, np.float32).reshape(-1, 4)

    bands = [
        (
            *_inside(rng, anatomy, 0.45, 0.9),
            rng.normal(0, 0.6),
            rng.uniform(12, 40),
            rng.uniform(2, 6),
        )
        for _ in range(rng.integers(1, 5) if rng.random() < BAND_RATE else 0)
    ]
    return Findings(
        bullae=some(EMPHYSEMA_RATE, 90, 0.0, 0.97, (1.5, 7)),
        nodules=some(NODULE_RATE, 5, 0.0, 0.98, (1.0, 3.0)),
        bands=np.array(bands, np.float32).reshape(-1, 6),
        fissure_hu=rng.normal(*FISSURE_HU),
        collapse=max(0.0, rng.normal(0, 80)),
        trapping=rng.uniform(15, 45) * (rng.random() < TRAPPING_RATE),
    )


def oblique_fissure(contour: np.ndarray, x: np.ndarray, z: float) -> np.ndarray:
    """Depth y (units) of the fissure between upper and lower lobe at the places x of one lung."""
    center, half = contour.mean(0), np.ptp(contour, axis=0) / 2
    across = (x - center[0]) / half[0]
    return center[1] - 0.9 * half[1] + half[1] * 2.2 * (1 - z / LUNG_HEIGHT) - 8 * across**2


def _balls(frame: Frame, balls: np.ndarray, z: float) -> np.ndarray:
    """Coverage (H, W) of the balls at depth z, 0..1."""
    canvas = frame.canvas()
    for x, y, depth, radius in balls:
        if abs(z - depth) < radius:
            across = np.sqrt(radius**2 - (z - depth) ** 2)
            frame.ellipse(canvas, (x, y), (across, across), 255)
    return canvas / np.float32(255)


def draw_findings(
    frame: Frame, findings: Findings, z: float, hu: np.ndarray, distance: np.ndarray,
    contours: list[np.ndarray], lobules: np.ndarray,
) -> None:  # fmt: skip
    """Draw all of them into the lungs' HU.

    Args:
        frame: The patient's frame.
        findings: The patient's.
        z: Depth of the slice, units.
        hu: (H, W) of the lung, changed in place.
        distance: (H, W) units to the nearest lung border.
        contours: Pleura of either lung.
        lobules: (H, W) unit noise that drifts with depth.
    """
    if findings.trapping:
        hu -= findings.trapping * np.clip(2 * lobules, -0.3, 1)
    low = np.clip(frame.y / 40, 0, 1) * np.clip(1 - distance / 5, 0, 1)
    hu += np.float32(findings.collapse) * low
    plates = frame.canvas()
    for contour in contours:
        middle, half = contour[:, 0].mean(), np.ptp(contour[:, 0]) / 2
        x = middle + half * np.linspace(-1, 1, 24)
        frame.stroke(plates, np.stack([x, oblique_fissure(contour, x, z)], 1), 110, 1)
    hu += (plates / np.float32(255)) * (findings.fissure_hu - hu)
    if len(findings.bullae):
        holes = cv2.GaussianBlur(_balls(frame, findings.bullae, z), (0, 0), 0.8 * frame.scale)
        hu += 0.85 * holes * (EMPHYSEMA_HU - hu)
    if len(findings.nodules):
        hu += _balls(frame, findings.nodules, z) * (SOFT - hu)
    plates[:] = 0
    for x, y, depth, angle, length, height in findings.bands:
        if abs(z - depth) < height:
            along = np.linspace(-0.5, 0.5, 8) * length
            bow = 6 * (along / length) ** 2
            cos, sin = np.cos(angle), np.sin(angle)
            points = np.stack([x + along * cos - bow * sin, y + along * sin + bow * cos], 1)
            frame.stroke(plates, points, 190, 1.2)
    hu += (plates / np.float32(255)) * (-60 - hu)
