"""A scan in memory-mapped storage, looked at in axial slices of one orientation."""

from pathlib import Path

import nibabel as nib
import numpy as np

from datasets.volumes.scratch import release_pages
from utils.errors import UserError

# Slices from feet to head, rows from front to back, columns from the patient's right to left:
# axial slices as they are shown on a screen, and as DICOM stores them.
_AXIAL = ("S", "P", "L")
_MOST_CLASSES = 1 << 24  # whole numbers up to here are exact as float32


class AxialView:
    """From the axes of a file to axial slices and back, by exchanging and flipping axes alone.

    Nothing is interpolated: an oblique scan keeps its own planes, each axis being called after the
    anatomical direction that it is nearest to.

    Args:
        affine: (4, 4) from voxel indices to mm, axes to the right, to the front and to the head
            (RAS+), as NIfTI has it.
        shape: Of the stored volume, three axes.

    Attributes:
        affine: As given.
        stored_shape: As given.
        shape: Of the axial view: slices, height, width.
        spacing: Of the axial view, mm.
    """

    def __init__(self, affine: np.ndarray, shape: tuple[int, ...]) -> None:
        self.affine = np.asarray(affine, float)
        self.stored_shape = tuple(shape)
        orientation = nib.orientations.ornt_transform(
            nib.orientations.io_orientation(self.affine),
            nib.orientations.axcodes2ornt(_AXIAL),
        )
        self._order = [int(axis) for axis in np.argsort(orientation[:, 0])]
        self._flips = tuple(slice(None, None, int(orientation[axis, 1])) for axis in self._order)
        self.spacing = _spacing(self.affine[:3, self._order])
        self.shape = tuple(int(shape[axis]) for axis in self._order)

    def of(self, stored: np.ndarray) -> np.ndarray:
        """The stored volume as (slices, H, W); a view, so what is written to it is stored."""
        return stored.transpose(self._order)[self._flips]

    def back(self, axial: np.ndarray) -> np.ndarray:
        """(slices, H, W) in the axes of the file, the inverse of `of`; a view as well."""
        return axial[self._flips].transpose(np.argsort(self._order))


def _spacing(axes: np.ndarray) -> tuple[float, float, float]:
    """Distance of slices along their normal, which a gantry tilt makes the shorter one; sides.

    Args:
        axes: (3, 3) a column for a step to the next slice, row and column, mm.
    """
    height, width = np.linalg.norm(axes[:, 1:], axis=0)
    normal = np.cross(axes[:, 1] / height, axes[:, 2] / width)
    distance = abs(axes[:, 0] @ normal) / np.linalg.norm(normal)
    return float(distance), float(height), float(width)


class Volume:
    """A scan, a label or a lung volume.

    Attributes:
        name: Stem of the file, or what tells the series apart.
        path: The file or folder it is from.
        shape: Slices, height, width.
        spacing: Distance of slices, height and width of a px, mm.
        stored: As given.
        axial: (slices, H, W) view of the stored values, before slope and intercept.
        view: How `axial` was made; gives a volume of the same storage the same look.
        has_place: Whether its orientation and spacing are known; else they are mere assumptions.

    Args:
        name: See above.
        path: See above.
        stored: Three axes, as the file has them; an array or a memory map.
        affine: As AxialView.
        slope: Factor on stored values.
        intercept: What is added to them.
        has_place: See above.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        stored: np.ndarray,
        affine: np.ndarray,
        slope: float = 1.0,
        intercept: float = 0.0,
        *,
        has_place: bool = True,
    ) -> None:
        self.name, self.path, self.stored = name, path, stored
        self.slope, self.intercept = slope, intercept
        self.has_place = has_place
        self.view = AxialView(affine, stored.shape)
        self.axial = self.view.of(stored)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.view.shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        return self.view.spacing

    def __len__(self) -> int:
        return self.shape[0]

    def read_slice(self, index: int) -> np.ndarray:
        """The values of a slice.

        Returns:
            (H, W) float32, slope and intercept applied.

        Raises:
            UserError: A value is NaN or infinite; names file and slice.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # found out below
            values = np.array(self.axial[index], np.float32)
            values = values * np.float32(self.slope) + np.float32(self.intercept)
        release_pages(self.axial)
        if not np.isfinite(values).all():
            raise UserError(
                f"{self.path}: slice {index} holds NaN or infinite values; mend the file"
            )
        return values

    def read_label(self, index: int) -> np.ndarray:
        """The classes of a slice of a label volume: its values, rounded.

        Returns:
            (H, W) int32.

        Raises:
            UserError: A value is beyond any class; names file and slice.
        """
        values = np.rint(self.read_slice(index))
        if (most := abs(values).max()) > _MOST_CLASSES:
            raise UserError(
                f"{self.path}: slice {index} holds values of {most:g}, which are no classes; give "
                "a label volume"
            )
        return values.astype(np.int32)
