"""A coarse copy of a scan that fits into memory however large the scan is, and the way back."""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.volumes.scratch import release_pages
from datasets.volumes.volume import Volume

# The coarse copy of the tallest scan holds 200 x 256 x 256 voxels: 26 MB of HU.
_LONG_SIDE_PX = 256
_MOST_SLICES = 200
_SLICE_DISTANCE_MM = 2.0
# Between ground-glass opacity and soft tissue.
AIR_HU = -320
# What lies beyond air and bone tells nothing about lungs, and padding of -3024 HU spoils means.
_HU_RANGE = (-1024, 1024)


class Grid(NamedTuple):
    """Blocks of voxels of a scan; those at the far borders may be cut off.

    Attributes:
        shape: Slices, height, width of the scan.
        step: Slices per block.
        factor: Rows and columns per block.
        spacing: Of the blocks, mm: slices, rows, columns.
    """

    shape: tuple[int, int, int]
    step: int
    factor: int
    spacing: tuple[float, float, float]

    @classmethod
    def of(cls, shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> "Grid":
        """Blocks of at least about 2 mm in height, 200 x 256 x 256 of them at most."""
        step = math.ceil(max(_SLICE_DISTANCE_MM / spacing[0] - 0.1, shape[0] / _MOST_SLICES, 1))
        factor = math.ceil(max(shape[1:]) / _LONG_SIDE_PX)
        slices, rows, columns = spacing
        return cls(shape, step, factor, (slices * step, rows * factor, columns * factor))

    @property
    def num_blocks(self) -> tuple[int, int, int]:
        """Along slices, rows and columns."""
        slices, height, width = self.shape
        sides = ((slices, self.step), (height, self.factor), (width, self.factor))
        return tuple(math.ceil(size / block) for size, block in sides)

    @property
    def pixel_mm2(self) -> float:
        """Area of a block within a slice."""
        return self.spacing[1] * self.spacing[2]

    def pixels(self, mm: float) -> int:
        """A length within a slice in blocks, rounded, at least one."""
        return max(round(mm / math.sqrt(self.pixel_mm2)), 1)

    def coarse(self, plane: np.ndarray) -> NDArray[np.float32]:
        """Mean of each block of a slice (H, W)."""
        _, height, width = self.num_blocks
        below, right = (
            blocks * self.factor - size
            for blocks, size in zip((height, width), self.shape[1:], strict=True)
        )
        whole = cv2.copyMakeBorder(
            plane.astype(np.float32), 0, below, 0, right, cv2.BORDER_REPLICATE
        )
        return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)

    def fine(self, plane: np.ndarray, interpolation: int) -> np.ndarray:
        """A slice of blocks at the size of the scan, (H, W).

        Args:
            plane: (h, w) of a type that OpenCV resizes.
            interpolation: OpenCV's, such as cv2.INTER_NEAREST.
        """
        size = (plane.shape[1] * self.factor, plane.shape[0] * self.factor)
        whole = cv2.resize(plane, size, interpolation=interpolation)
        return whole[: self.shape[1], : self.shape[2]]


def coarse_hu(volume: Volume, grid: Grid) -> NDArray[np.int16]:
    """Mean HU of every block, read slice by slice, cut off at -1024 and 1024 HU."""
    hu = np.empty(grid.num_blocks, np.int16)
    for block in range(len(hu)):
        slices = range(block * grid.step, min((block + 1) * grid.step, len(volume)))
        total = sum(grid.coarse(np.clip(volume.read_slice(index), *_HU_RANGE)) for index in slices)
        hu[block] = np.rint(total / len(slices))
    return hu


def coarse_mask(mask: np.ndarray, grid: Grid) -> NDArray[np.bool_]:
    """Blocks that hold any of a mask.

    Args:
        mask: (slices, H, W), or a memory map of it; > 0 is inside.
        grid: Of the same shape.
    """
    found = np.zeros(grid.num_blocks, bool)
    for index in range(len(mask)):
        inside = read_mask(mask, index)
        if inside.any():
            found[index // grid.step] |= grid.coarse(inside) > 0
    return found


def read_mask(mask: np.ndarray, index: int) -> NDArray[np.bool_]:
    """A slice of a mask; of a memory map nothing stays in memory.

    Args:
        mask: (slices, H, W), or a memory map that is shared with its file; > 0 is inside.
        index: Of the slice.
    """
    return read_label(mask, index) > 0


def read_label(mask: np.ndarray, index: int) -> np.ndarray:
    """A slice of a mask with its values, (H, W); of a memory map nothing stays in memory."""
    values = np.array(mask[index])
    release_pages(mask)
    return values
