"""Whether what a header says of a scan's place in space can be believed."""

from collections.abc import Sequence
from itertools import product

import numpy as np

from datasets.volumes.volume import Volume
from utils.errors import UserError

# A chest is about as wide as it is deep, within these factors: mm, and px, of which thick slices
# have few. What is narrower is a scout, some pictures, or was stored along other axes.
_MOST_ELONGATED_MM, _MOST_ELONGATED_PX = 8, 32
_SIDE_MM, _DISTANCE_MM = (0.02, 20.0), (0.02, 100.0)  # of a px, and from slice to slice
_LONGEST_MM = 3000.0  # the range of a table is 2 m
_SAME_PLACE_MM = 1.0  # headers round


def has_place(affine: np.ndarray) -> bool:
    """Whether an affine was measured, and is not what a tool writes that knows of none.

    Args:
        affine: (4, 4) from voxel indices to mm. Voxels of exactly 1 mm along the axes, the first of
            them in the origin, are the identity in any of its orientations.
    """
    directions = np.abs(affine[:3, :3]).round(5)  # quaternions are rounded
    is_unit = np.isin(directions, (0, 1)).all() and (directions.sum(0) == 1).all()
    return not (is_unit and not affine[:3, 3].any())


def is_strip(num_px: Sequence[int], lengths: Sequence[float]) -> bool:
    """Whether an axial slice, or a stack that is seen from the head, is a few px or mm thin.

    Args:
        num_px: Of both sides.
        lengths: Of the same, mm.
    """
    return max(lengths) > _MOST_ELONGATED_MM * min(lengths) or max(
        num_px
    ) > _MOST_ELONGATED_PX * min(num_px)


def check_geometry(volume: Volume) -> None:
    """Refuse a scan whose header describes no CT.

    Raises:
        UserError: A px, a slice or the whole is far too small or too large, or the axial slices
            are strips, as of a volume whose axes were exchanged.
    """
    distance, *sides = volume.spacing
    height, width = (side * count for side, count in zip(sides, volume.shape[1:], strict=True))
    voxel = f"voxels of {distance:.4g} x {sides[0]:.4g} x {sides[1]:.4g} mm"
    fits = [_SIDE_MM[0] <= side <= _SIDE_MM[1] for side in sides]
    extent = max(height, width, distance * len(volume))
    if not (all(fits) and _DISTANCE_MM[0] <= distance <= _DISTANCE_MM[1] and extent <= _LONGEST_MM):
        problem = f"{voxel}, {extent:.4g} mm long"
    elif is_strip(volume.shape[1:], (height, width)):
        problem = f"axial slices of {volume.shape[1]} x {volume.shape[2]} px, {voxel}"
    else:
        return
    raise UserError(
        f"{volume.path}: has {problem} by its header, which no CT has; convert it from DICOM "
        "again, or mend spacing and orientation in the header"
    )


def describe_placeless(volume: Volume) -> str | None:
    """A warning for a scan whose header does not say how it lies; None for any other."""
    if volume.has_place:
        return None
    return (
        f"{volume.path}: its header has no orientation, so that orientation and spacing are "
        "unknown; slices may be mirrored or turned, and nothing is measured in mm or mL"
    )


def describe_mismatch(one: Volume, other: Volume) -> str | None:
    """Why a volume does not lie on the voxels of another, in words; None where it does."""
    if one.shape != other.shape:
        sizes = [" x ".join(map(str, volume.shape)) for volume in (one, other)]
        return f"{sizes[0]} voxels (slices, rows, columns), but {other.path} has {sizes[1]}"
    distance = np.linalg.norm(_corners(one) - _corners(other), axis=1).max()
    if distance > _SAME_PLACE_MM:
        return f"lies {distance:.1f} mm off {other.path} by its header"
    return None


def _corners(volume: Volume) -> np.ndarray:
    """(8, 3) places in mm of the corners of the axial view, whatever the order of storage."""
    shape = volume.view.stored_shape
    grids = [
        volume.view.of(np.broadcast_to(grid, shape)) for grid in np.indices(shape, sparse=True)
    ]
    voxels = [[grid[corner] for grid in grids] + [1] for corner in product((0, -1), repeat=3)]
    return (np.array(voxels) @ volume.view.affine.T)[:, :3]
