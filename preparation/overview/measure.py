"""What is measured in one slice."""

from typing import NamedTuple

import cv2
import numpy as np

from datasets.image_io import read_gray
from datasets.stored import StoredSlice, read_slice
from preparation.overview.entries import SliceEntry
from preparation.overview.grey_levels import count_levels
from utils.errors import UserError

REGIONS = ("all", "lung", "lesion")
POSITION_SIDE = 64  # cells of the map of where lesions lie
_CONNECTIVITY = 8


class SliceRow(NamedTuple):
    """The figures of a slice that are kept.

    Attributes:
        entry: The slice.
        size: Height and width in px.
        lesion_px: Area of the lesion.
        lung_px: Area of lung and lesion together; None without a lung mask.
        class_px: Area of every class of its label; {} without one.
        component_px: Areas of the lesion's components, connected over sides and corners.
    """

    entry: SliceEntry
    size: tuple[int, int]
    lesion_px: int
    lung_px: int | None
    class_px: dict[int, int]
    component_px: tuple[int, ...]

    @property
    def px_mm2(self) -> float | None:
        """Area of a pixel in mm²; None where nobody says."""
        spacing = self.entry.files.spacing
        return None if spacing is None else spacing[0] * spacing[1]


class SliceMeasure(NamedTuple):
    """The row of a slice, and what is added up over slices.

    Attributes:
        row: See there.
        levels: Counts of grey levels by region: all, lung (outside of lesions), lesion.
        position: (64, 64) float32 share of each cell that is lesion; None without lesion.
    """

    row: SliceRow
    levels: dict[str, np.ndarray]
    position: np.ndarray | None


def measure_slice(entry: SliceEntry) -> SliceMeasure:
    """Read the files of a slice and measure it.

    Raises:
        UserError: A file is damaged, or sizes differ.
    """
    stored = read_slice(entry.files)
    lesion = (stored.mask > 0).astype(np.uint8)
    lesion_px = cv2.countNonZero(lesion)
    lung = None if stored.lung is None else (stored.lung > 0).astype(np.uint8)
    row = SliceRow(
        entry,
        stored.image.shape,
        lesion_px,
        None if lung is None else cv2.countNonZero(lung | lesion),
        _class_areas(entry, stored),
        _component_areas(lesion),
    )
    levels = {"all": count_levels(stored.image)}
    if lung is not None:
        levels["lung"] = count_levels(stored.image, lung & ~lesion)
    if not lesion_px:
        return SliceMeasure(row, levels, None)
    levels["lesion"] = count_levels(stored.image, lesion)
    side = (POSITION_SIDE, POSITION_SIDE)
    position = cv2.resize(lesion.astype(np.float32), side, interpolation=cv2.INTER_AREA)
    return SliceMeasure(row, levels, position)


def _class_areas(entry: SliceEntry, stored: StoredSlice) -> dict[int, int]:
    """Pixels of every class but 0."""
    if entry.label is None:
        return {}
    label = read_gray(entry.label)
    if label.shape != stored.image.shape:
        raise UserError(
            f"{entry.label}: {label.shape[0]} x {label.shape[1]} px, but {entry.files.image} has "
            f"{stored.image.shape[0]} x {stored.image.shape[1]} px; both must have the same size"
        )
    counts = count_levels(label)
    return {int(value): int(counts[value]) for value in np.nonzero(counts)[0] if value}


def _component_areas(lesion: np.ndarray) -> tuple[int, ...]:
    """Pixels of every component; the search is confined to the box of the lesion."""
    left, top, width, height = cv2.boundingRect(lesion)
    if not width:  # OpenCV crashes on an empty box
        return ()
    box = lesion[top : top + height, left : left + width]
    figures = cv2.connectedComponentsWithStats(box, connectivity=_CONNECTIVITY)[2]
    return tuple(figures[1:, cv2.CC_STAT_AREA].tolist())
