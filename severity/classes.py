"""The classes of a scan's lesions: how much there is of each."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_VALUES = 256  # of a uint8 mask


class LesionClass(NamedTuple):
    """All lesions of one class.

    Attributes:
        name: Of the class.
        volume_ml: Volume, mL.
        share_percent: Share of all lesions, %; None without a lesion.
        outside_ml: What of it lies outside of the lungs, mL; None without lungs.
        mean_hu: Mean HU; None where there is none of it, or the scan is not in HU.
    """

    name: str
    volume_ml: float
    share_percent: float | None
    outside_ml: float | None
    mean_hu: float | None


class ClassTally:
    """Counts the voxels of every class, slice by slice."""

    def __init__(self) -> None:
        self._voxels = np.zeros(_VALUES, np.int64)
        self._outside = np.zeros(_VALUES, np.int64)
        self._hu = np.zeros(_VALUES)
        self._has_lungs = self._is_hu = False

    def add(
        self,
        label: NDArray[np.uint8],
        hu: NDArray[np.float32] | None,
        lung: NDArray[np.uint8] | None,
    ) -> None:
        """Takes a slice with lesion.

        Args:
            label: (H, W), 0 or a class.
            hu: (H, W) HU; None where the scan has no such scale.
            lung: (H, W), > 0 is lung; None where lungs are not known.
        """
        inside = label > 0
        values = label[inside]
        self._voxels += np.bincount(values, minlength=_VALUES)
        if hu is not None:
            self._is_hu = True
            self._hu += np.bincount(values, hu[inside], minlength=_VALUES)
        if lung is not None:
            self._has_lungs = True
            self._outside += np.bincount(values[lung[inside] == 0], minlength=_VALUES)

    def classes(self, names: Mapping[int, str], voxel_ml: float) -> list[LesionClass]:
        """Every class that has a name, whether the scan shows it or not.

        Args:
            names: By value in the mask.
            voxel_ml: Volume of a voxel, mL.
        """
        total = int(self._voxels.sum())
        return [
            LesionClass(
                name=name,
                volume_ml=int(self._voxels[value]) * voxel_ml,
                share_percent=100 * int(self._voxels[value]) / total if total else None,
                outside_ml=int(self._outside[value]) * voxel_ml if self._has_lungs else None,
                mean_hu=self._mean_hu(value),
            )
            for value, name in names.items()
        ]

    def _mean_hu(self, value: int) -> float | None:
        if not self._is_hu or not self._voxels[value]:
            return None
        return float(self._hu[value] / self._voxels[value])
