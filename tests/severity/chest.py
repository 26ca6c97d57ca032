"""A chest of ellipsoids in HU, on a couch, whose lungs have known volumes."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.volumes.volume import Volume
from severity.lungs.sides import LEFT, RIGHT

SPACING = (5.0, 3.0, 3.0)
SHAPE = (52, 84, 124)
RADII = (110.0, 75.0, 55.0)  # of a lung, mm: height, depth, width
LUNG_HU, SOFT_HU, AIR_HU = -820, 40, -1000


class Chest(NamedTuple):
    """Arrays (slices, H, W), slices from feet to head, columns from the patient's right to left."""

    hu: np.ndarray
    lung: np.ndarray  # LEFT, RIGHT or 0
    trachea: np.ndarray


def coordinates(
    shape: tuple[int, int, int] = SHAPE, spacing: tuple[float, float, float] = SPACING
) -> tuple[np.ndarray, ...]:
    """Distances from the centre in mm: up, to the back, to the patient's left."""
    axes = [
        (np.arange(size) - (size - 1) / 2) * side for size, side in zip(shape, spacing, strict=True)
    ]
    return tuple(np.meshgrid(*axes, indexing="ij", sparse=True))


def ellipsoid(
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
    shape: tuple[int, int, int] = SHAPE,
    spacing: tuple[float, float, float] = SPACING,
) -> np.ndarray:
    """A mask; lengths in mm."""
    axes = coordinates(shape, spacing)
    parts = [((x - c) / r) ** 2 for x, c, r in zip(axes, centre, radii, strict=True)]
    return sum(parts) <= 1


def make_chest(
    *,
    gap: float = 40.0,
    sides: tuple[int, ...] = (RIGHT, LEFT),
    shape: tuple[int, int, int] = SHAPE,
    spacing: tuple[float, float, float] = SPACING,
) -> Chest:
    """A body with lungs, trachea and main bronchi on a couch.

    Args:
        gap: Between the lungs where they are nearest, mm; below 0 they are one.
        sides: Which lungs there are.
        shape: Of the volume.
        spacing: Of its voxels, mm.
    """
    _, back, left = coordinates(shape, spacing)
    grid = (shape, spacing)
    noise = np.random.default_rng(0).normal(0, 15, shape)
    hu = np.full(shape, float(AIR_HU))
    body = (back / 105) ** 2 + (left / 165) ** 2 <= 1
    hu[np.broadcast_to(body, shape)] = SOFT_HU
    hu[np.broadcast_to((back > 108) & (back < 112), shape)] = -200  # top of the couch
    hu[np.broadcast_to((back >= 112) & (back < 120), shape)] = -930
    lung = np.zeros(shape, np.uint8)
    for side in sides:
        away = (1 if side == LEFT else -1) * (RADII[2] + gap / 2)
        own = ellipsoid((0, 0, away), RADII, *grid)
        lung[own & ((left > 0) == (side == LEFT)) | own & (lung == 0) & (gap >= 0)] = side
    hu[lung > 0] = LUNG_HU
    trachea, wall = (_airways(more, *grid) for more in (0, 4))
    hu[wall] = SOFT_HU
    hu[trachea] = AIR_HU
    lung[wall] = 0
    return Chest((hu + noise).astype(np.int16), lung, trachea)


def _airways(
    more: float, shape: tuple[int, int, int], spacing: tuple[float, float, float]
) -> np.ndarray:
    """Trachea above the centre, main bronchi below it; `more` mm around them."""
    up, back, left = coordinates(shape, spacing)
    trachea = (up > 0) & ((back + 10) ** 2 + left**2 <= (9 + more) ** 2)
    for sign in (-1, 1):
        away = sign * (6 - 0.7 * up)
        bronchus = (back + 10) ** 2 + (left - away) ** 2 <= (7 + more) ** 2
        trachea = trachea | (up <= 0) & (up > -25) & bronchus
    return trachea


def as_volume(
    axial: np.ndarray, spacing: tuple[float, float, float] = SPACING, slope: float = 1.0
) -> Volume:
    """A volume as a NIfTI file would have it, whose axial view is this array."""
    rise, down, right = spacing
    return Volume(
        "chest",
        Path("chest.nii.gz"),
        axial.transpose(2, 1, 0),
        np.diag([-right, -down, rise, 1.0]),
        slope,
    )


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Of two masks."""
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))
