"""The lungs of a scan, slice by slice: given as masks, or found in the scan itself."""

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.volumes.scratch import release_pages
from datasets.volumes.volume import Volume
from severity.lungs.grid import Grid, coarse_hu, coarse_mask
from severity.lungs.sides import LEFT, RIGHT, SIDES, middle_column, right_of_patient, without_sliver
from severity.lungs.threshold import (
    LEAST_AREA_CM2,
    CoarseLungs,
    lesions_of_lungs,
    segment_lungs,
)
from utils.errors import UserError


class Lungs(Protocol):
    """Both lungs of a scan.

    Attributes:
        origin: Where they are from, as a sentence.
    """

    origin: str

    def attach(self, mask: np.ndarray) -> None:
        """Take note of the lesions, (slices, H, W), once they are known."""
        ...

    def read_slice(self, index: int, lesion: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Where the lungs are.

        Args:
            index: Slice, from feet to head.
            lesion: (H, W) lesion of that slice.

        Returns:
            (H, W): 0, sides.LEFT or sides.RIGHT.
        """
        ...


class NoLungs(Exception):  # noqa: N818 - an outcome that the report tells
    """There are none; says why."""


class FoundLungs:
    """Lungs that were found on a grid, their border smoothed to the size of the scan."""

    origin = "Lungs were found in the scan; check their outlines."

    def __init__(self, coarse: CoarseLungs, grid: Grid) -> None:
        self.coarse, self.grid = coarse, grid
        self._owners: NDArray[np.uint8] | None = None

    def attach(self, mask: np.ndarray) -> None:
        """Add the lesions that touch them.

        Args:
            mask: (slices, H, W), or a memory map; > 0 is lesion.
        """
        self._owners = lesions_of_lungs(self.coarse, coarse_mask(mask, self.grid))

    def read_slice(self, index: int, lesion: NDArray[np.bool_]) -> NDArray[np.uint8]:
        block = index // self.grid.step
        plane = self.coarse.labels[block]
        labels = np.zeros(lesion.shape, np.uint8)
        for side in SIDES:
            own = plane == side
            if own.any():
                share = self.grid.fine(own.astype(np.float32), cv2.INTER_LINEAR)
                labels[share > 0.5] = side
        missing = lesion & (labels == 0)
        if self._owners is not None and missing.any():
            owners = self.grid.fine(self._owners[block], cv2.INTER_NEAREST)
            labels[missing] = owners[missing]
        return labels


class GivenLungs:
    """Lungs of masks, the sides told apart by their values or by a line between them."""

    def __init__(self, lung: np.ndarray, grid: Grid) -> None:
        """Looks through the masks.

        Args:
            lung: (slices, H, W), or a memory map; > 0 is lung.
            grid: Of the same shape.

        Raises:
            NoLungs: The masks are empty.
        """
        self._lung, self._grid = lung, grid
        columns = _columns_of_values(lung)
        if columns is None:
            found = coarse_mask(lung, grid)
            right = right_of_patient(found, None, middle_column(found))
            labels = np.where(found, np.where(right, np.uint8(RIGHT), np.uint8(LEFT)), np.uint8(0))
            without_sliver(labels)
            present = [side for side in SIDES if (labels == side).any()]
            # A single lung belongs to one side as a whole, wherever the line runs.
            self._right = right if len(present) == 2 else np.full_like(right, present == [RIGHT])
            self._value_of_right = None
        else:
            # Columns run from the patient's right to the left, whatever the values say.
            self._right = None
            self._value_of_right = 1 if columns[0] < columns[1] else 2
        self.origin = "Lungs are those of the masks given with the scan."
        if self._value_of_right == LEFT:
            self.origin += " Their value 1 lies on the patient's right: sides are taken from "
            self.origin += "position."

    def attach(self, mask: np.ndarray) -> None:
        """Masks that are given stay as they are."""

    def read_slice(self, index: int, lesion: NDArray[np.bool_]) -> NDArray[np.uint8]:
        plane = np.array(self._lung[index])
        release_pages(self._lung)
        if self._right is None:
            right = plane == self._value_of_right
        else:
            coarse = self._right[index // self._grid.step].astype(np.uint8)
            right = self._grid.fine(coarse, cv2.INTER_NEAREST) > 0
        sides = np.where(right, np.uint8(RIGHT), np.uint8(LEFT))
        return np.where(plane > 0, sides, np.uint8(0))


def find_lungs(volume: Volume, unit_is_hu: bool) -> FoundLungs:
    """The lungs of a scan by threshold, before its lesions are known.

    Raises:
        NoLungs: The scan is not in HU, or shows none.
    """
    if not unit_is_hu:
        raise NoLungs(
            "Lungs can be found in scans in Hounsfield units only; this one holds grey levels of "
            "an unknown window. Give lung masks to get involvement and score."
        )
    grid = Grid.of(volume.shape, volume.spacing)
    coarse = segment_lungs(coarse_hu(volume, grid), grid)
    if coarse is None:
        raise NoLungs(
            f"No lungs were found: no slice shows {LEAST_AREA_CM2:g} cm² of lung tissue within the "
            "body. Give lung masks to get involvement and score."
        )
    return FoundLungs(coarse, grid)


def open_lungs(
    volume: Volume, mask: np.ndarray, lung: np.ndarray | Lungs | None, unit_is_hu: bool
) -> tuple[Lungs, str]:
    """The lungs of a scan.

    Args:
        volume: The scan.
        mask: (slices, H, W); > 0 is lesion.
        lung: Lung masks of the same shape, or the lungs themselves, as far as they are known
            without the lesions; None finds the lungs in the scan.
        unit_is_hu: Whether the scan is in HU.

    Returns:
        The lungs, and where they are from as a sentence.

    Raises:
        NoLungs: None are given, and the scan is not in HU or shows none.
        UserError: The lung masks have another shape.
    """
    if isinstance(lung, np.ndarray):
        if lung.shape != volume.shape:
            raise UserError(
                f"{volume.path}: the scan is {_size(volume.shape)} and its lung masks are "
                f"{_size(lung.shape)} (slices x rows x columns); give masks of this scan"
            )
        given = GivenLungs(lung, Grid.of(volume.shape, volume.spacing))
        return given, given.origin
    found = find_lungs(volume, unit_is_hu) if lung is None else lung
    found.attach(mask)
    return found, found.origin


def _columns_of_values(lung: np.ndarray) -> tuple[float, float] | None:
    """Mean columns of the values 1 and 2; None unless the masks hold both and nothing else.

    Raises:
        NoLungs: There is nothing but background.
    """
    totals = np.zeros((2, lung.shape[2]))
    is_sided, is_empty = True, True
    for index in range(len(lung)):
        plane = np.array(lung[index])
        release_pages(lung)
        inside = plane > 0
        if not inside.any():
            continue
        is_empty = False
        each = [plane == value for value in (1, 2)]
        is_sided = is_sided and not (inside & ~each[0] & ~each[1]).any()
        totals += [own.sum(0) for own in each]
    if is_empty:
        raise NoLungs("The lung masks given with the scan are empty.")
    if not is_sided or not totals.any(1).all():
        return None
    first, second = totals @ np.arange(lung.shape[2]) / totals.sum(1)
    return float(first), float(second)


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
