"""A scan in memory-mapped storage, looked at in axial slices of one orientation."""

from pathlib import Path

import nibabel as nib
import numpy as np

from utils.errors import UserError

# Slices from feet to head, rows from front to back, columns from the patient's right to left:
# axial slices as they are shown on a screen, and as DICOM stores them.
_AXIAL = ("S", "P", "L")


class AxialView:
    """From the axes of a file to axial slices and back, by exchanging and flipping axes alone.

    Nothing is interpolated: an oblique scan keeps its own planes, each axis being called after the
    anatomical direction that it is nearest to.

    Args:
        affine: (4, 4) from voxel indices to mm, axes to the right, to the front and to the head
            (RAS+), as NIfTI has it.
        shape: Of the stored volume, three axes.
    """

    def __init__(self, affine: np.ndarray, shape: tuple[int, ...]) -> None:
        self.affine = np.asarray(affine, float)
        self._orientation = nib.orientations.ornt_transform(
            nib.orientations.io_orientation(self.affine),
            nib.orientations.axcodes2ornt(_AXIAL),
        )
        sides = np.sqrt((self.affine[:3, :3] ** 2).sum(0))
        order = np.argsort(self._orientation[:, 0]).astype(int)
        self.spacing = tuple(float(sides[axis]) for axis in order)
        self.shape = tuple(int(shape[axis]) for axis in order)

    def of(self, stored: np.ndarray) -> np.ndarray:
        """The stored volume as (slices, H, W); a view, so what is written to it is stored."""
        order = np.argsort(self._orientation[:, 0]).astype(int)
        flips = [slice(None, None, int(self._orientation[axis, 1])) for axis in order]
        return stored.transpose(order)[tuple(flips)]


class Volume:
    """A scan, a label or a lung volume.

    Attributes:
        name: Stem of the file, or what tells the series apart.
        path: The file or folder it is from.
        shape: Slices, height, width.
        spacing: Distance of slices, height and width of a px, mm.
        axial: (slices, H, W) view of the stored values, before slope and intercept.
        view: How `axial` was made; gives a volume of the same storage the same look.

    Args:
        name: See above.
        path: See above.
        stored: Three axes, as the file has them; an array or a memory map.
        affine: As AxialView.
        slope: Factor on stored values.
        intercept: What is added to them.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        stored: np.ndarray,
        affine: np.ndarray,
        slope: float = 1.0,
        intercept: float = 0.0,
    ) -> None:
        self.name, self.path = name, path
        self.slope, self.intercept = slope, intercept
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
        values = np.asarray(self.axial[index], np.float32)
        if not np.isfinite(values).all():
            raise UserError(
                f"{self.path}: slice {index} holds NaN or infinite values; mend the file"
            )
        return values * np.float32(self.slope) + np.float32(self.intercept)

    def read_label(self, index: int) -> np.ndarray:
        """The classes of a slice of a label volume: its values, rounded.

        Returns:
            (H, W) int32.
        """
        return np.rint(self.read_slice(index)).astype(np.int32)
