"""Gas in stomach and colon: it lies under the diaphragm, whose dome can be too thin for a block."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from severity.lungs.grid import AIR_HU, Grid

# Gas that fills a block; inflated lung has tissue in it but for emphysema.
_GAS_HU = -900
_WALL_HU = -500
_LEAST_ML = 2.0
# Share of tissue around: 0.65 and more for gas in gut and trachea, 0.02 to 0.18 for well inflated
# lung, in ten scans of COVID-19 patients (Coronacases).
_LEAST_WALL = 0.45
# As empty, and bordered by the chest wall, is a whole lung with severe emphysema.
_MOST_OF_AIR = 0.25
_SHELL_MM = 3.0


def find_gut_gas(hu: NDArray[np.int16], body: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """Bubbles of gas of at least 2 mL that are bordered by tissue more than by lung.

    Args:
        hu: (z, h, w) HU of the blocks.
        body: (z, h, w) inside of the skin.
        grid: Of the blocks.

    Returns:
        (z, h, w) bool: the bubbles with the rim where they blend into their wall.
    """
    air = (hu < AIR_HU) & body
    most = _MOST_OF_AIR * np.count_nonzero(air)
    gas = air & (hu < _GAS_HU)
    square = np.ones((3, 3), np.uint8)
    for plane in gas:  # parts that touch by a thread come apart
        plane[:] = cv2.morphologyEx(plane.astype(np.uint8), cv2.MORPH_OPEN, square) > 0
    parts, _ = ndimage.label(gas)
    gas[:] = False
    sizes = np.bincount(parts.ravel())
    least = 1000 * _LEAST_ML / (grid.spacing[0] * grid.pixel_mm2)
    reach = grid.pixels(_SHELL_MM)
    for part, box in enumerate(ndimage.find_objects(parts), 1):
        if not least <= sizes[part] <= most:
            continue
        around = tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in box)
        bubble = parts[around] == part
        grown = _grown(bubble, reach)
        shell = grown & ~bubble
        if shell.any() and np.mean(hu[around][shell] > _WALL_HU) > _LEAST_WALL:
            gas[around] |= grown
    return gas


def _grown(bubble: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """A bubble with what surrounds it in its slices."""
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return np.stack([cv2.dilate(plane.astype(np.uint8), square) > 0 for plane in bubble])
