"""Which side of the chest is the right one: a line from front to back between the two lungs.

The line is the cheapest path through air, as the anterior and posterior junctions are found by
Hu, Hoffman and Reinhardt, "Automatic lung segmentation for accurate quantitation of volumetric
X-ray CT images", IEEE Trans. Med. Imaging 20(6), 2001, doi:10.1109/42.929615.
"""

import numpy as np
from numpy.typing import NDArray

LEFT, RIGHT = 1, 2  # as the lung masks of the COVID-19-CT-Seg set are numbered
SIDES = {RIGHT: "right", LEFT: "left"}
_AIR_HU, _TISSUE_HU = -900.0, -100.0
# The line may lie this share of the image's width beside the middle; lungs of unequal size push
# the junctions to one side.
_REACH = 0.2
# Crossing lung costs between 0.2 and 1 per block; being at the edge of the reach costs 0.02.
_LEAST_COST, _OFF_CENTRE = 0.2, 0.02
# A share of both lungs that is no lung: a rim that the line has cut off.
_SLIVER = 0.03


def right_of_patient(
    lung: NDArray[np.bool_], hu: NDArray[np.int16] | None, middle: float
) -> NDArray[np.bool_]:
    """The patient's right half of the image, where columns run from right to left.

    Args:
        lung: (z, h, w) both lungs.
        hu: (z, h, w) HU; None lets the line avoid the lungs without regard to what is in them.
        middle: Column of the patient's middle.

    Returns:
        (z, h, w) bool: columns before the line.
    """
    width = lung.shape[2]
    first = int(np.clip(middle - _REACH * width, 0, width - 1))
    last = int(np.clip(middle + _REACH * width, first + 1, width))
    band = np.s_[:, :, first:last]
    cost = _LEAST_COST * lung[band].astype(np.float32)
    if hu is not None:
        air = np.clip((_TISSUE_HU - hu[band]) / np.float32(_TISSUE_HU - _AIR_HU), 0, 1)
        cost += lung[band] * air * np.float32(1 - _LEAST_COST)
    off_centre = np.abs(np.arange(first, last) - middle) / max(_REACH * width, 1)
    cost += (_OFF_CENTRE * off_centre).astype(np.float32)
    line = first + _cheapest_path(cost)
    return np.arange(width) < line[:, :, None]


def without_sliver(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gives what the line has cut off a single lung back to it, in place."""
    voxels = {side: int(np.count_nonzero(labels == side)) for side in SIDES}
    smaller, larger = sorted(voxels, key=voxels.__getitem__)
    if voxels[smaller] < _SLIVER * voxels[larger]:
        labels[labels == smaller] = larger
    return labels


def middle_column(lung: NDArray[np.bool_]) -> float:
    """The middle between two lungs, or that of the image where there seems to be only one."""
    width = lung.shape[2]
    columns = np.flatnonzero(lung.any((0, 1)))
    if not len(columns):
        return width / 2
    middle = (columns[0] + columns[-1] + 1) / 2
    # A single lung lies about a fifth of the image beside its middle, patients seldom a tenth.
    return middle if abs(middle - width / 2) < 0.1 * width else width / 2


def _cheapest_path(cost: NDArray[np.float32]) -> NDArray[np.int64]:
    """Column of the cheapest path in each row, one column aside per row at most.

    All slices at once; a path through a volume by skimage.graph takes one at a time.

    Args:
        cost: (z, h, w), at least 0.

    Returns:
        (z, h) columns.
    """
    depth, height, _ = cost.shape
    total = cost.copy()
    for row in range(1, height):
        total[:, row] += _neighbours(total[:, row - 1]).min(0)
    path = np.empty((depth, height), np.int64)
    path[:, -1] = total[:, -1].argmin(1)
    each = np.arange(depth)
    for row in range(height - 2, -1, -1):
        steps = _neighbours(total[:, row])[:, each, path[:, row + 1]]
        path[:, row] = path[:, row + 1] + steps.argmin(0) - 1
    return path


def _neighbours(row: NDArray[np.float32]) -> NDArray[np.float32]:
    """A row's values to the left, here and to the right of each column, (3, z, w)."""
    framed = np.pad(row, ((0, 0), (1, 1)), constant_values=np.inf)
    return np.stack([framed[:, :-2], framed[:, 1:-1], framed[:, 2:]])
