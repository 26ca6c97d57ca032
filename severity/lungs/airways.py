"""Trachea and main bronchi: followed from the top of the scan down, slice by slice."""

import cv2
import numpy as np
from numpy.typing import NDArray

from severity.lungs.grid import Grid

# Air without tissue around it. Inflated lung is denser but for emphysema, which the growth stops.
_AIR_HU = -900
# An adult's trachea is 10 to 27 mm wide (Breatnach et al., AJR 1984, doi:10.2214/ajr.142.5.903);
# a child's is smaller, and slices cut it obliquely.
_TRACHEA_MM2 = (40.0, 900.0)
_MOST_MM2 = 1500.0  # trachea at its fork
_LEAST_TRACHEA_MM = 20.0
_GROWTH, _GROWTH_MM2 = 1.6, 80.0
_OFF_MIDDLE = 0.12  # of the body's width
# What is narrower lies within the lung and is counted with it.
_LEAST_BRONCHUS_MM2 = 50.0


def find_airways(hu: NDArray[np.int16], body: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """Trachea and main bronchi with their walls; empty where the scan shows no trachea.

    Args:
        hu: (z, h, w) HU of the blocks, slices from feet to head.
        body: (z, h, w) inside of the skin.
        grid: Of the blocks.

    Returns:
        (z, h, w) bool.
    """
    airways = np.zeros(hu.shape, bool)
    least_slices = max(round(_LEAST_TRACHEA_MM / grid.spacing[0]), 2)
    for top in range(len(hu) - 1, least_slices - 2, -1):
        for seed in _tracheas(hu[top], body[top], grid):
            num_slices = _follow(hu, body, seed, top, airways, grid)
            if num_slices >= least_slices:
                return _with_walls(airways)
            airways[:] = False
    return airways


def _tracheas(
    hu: NDArray[np.int16], body: NDArray[np.bool_], grid: Grid
) -> list[NDArray[np.bool_]]:
    """Round spots of air near the body's middle."""
    columns, rows = np.flatnonzero(body.any(0)), np.flatnonzero(body.any(1))
    if not len(columns):
        return []
    middle, width = (columns[0] + columns[-1]) / 2, np.ptp(columns) + 1
    _, parts, stats, centres = _parts((hu < _AIR_HU) & body)
    seeds = []
    for part in range(1, len(stats)):
        wide, high, area = stats[part, cv2.CC_STAT_WIDTH : cv2.CC_STAT_AREA + 1]
        x, y = centres[part]
        is_round = max(wide, high) <= 2.2 * min(wide, high) and area > 0.5 * wide * high
        is_central = abs(x - middle) < _OFF_MIDDLE * width and y < rows[0] + 0.75 * np.ptp(rows)
        if is_round and is_central and _within(area * grid.pixel_mm2, _TRACHEA_MM2):
            seeds.append(parts == part)
    return seeds


def _follow(
    hu: NDArray[np.int16],
    body: NDArray[np.bool_],
    seed: NDArray[np.bool_],
    top: int,
    airways: NDArray[np.bool_],
    grid: Grid,
) -> int:
    """Marks what hangs together with the seed below it, branch by branch, until it leaks.

    A branch that widens suddenly has run into lung.

    Returns:
        The number of slices.
    """
    current = seed
    for index in range(top, -1, -1):
        if index < top:
            current = _next_slice((hu[index] < _AIR_HU) & body[index], current, grid)
        if not current.any():
            return top - index
        airways[index] = current
    return top + 1


def _next_slice(air: NDArray[np.bool_], above: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """The parts of a slice's air that go on from the airways in the slice above."""
    near = cv2.dilate(above.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    _, parts, stats, _ = _parts(air)
    before = np.count_nonzero(above) * grid.pixel_mm2
    most = min(_GROWTH * before + _GROWTH_MM2, _MOST_MM2)
    kept = np.zeros(len(stats), bool)
    for part in np.unique(parts[near]):
        area = stats[part, cv2.CC_STAT_AREA] * grid.pixel_mm2
        kept[part] = part > 0 and _within(area, (_LEAST_BRONCHUS_MM2, most))
    return kept[parts]


def _with_walls(airways: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """One block more around, in place: walls are 1 to 3 mm thick."""
    for plane in airways:
        plane |= cv2.dilate(plane.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return airways


def _parts(mask: NDArray[np.bool_]) -> tuple:
    """Components of a slice that touch by their sides, as OpenCV gives them."""
    return cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]
