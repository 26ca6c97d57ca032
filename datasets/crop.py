"""The part of a slice that a network sees: the body, or the lungs, found slice by slice.

Whatever the field of view, the body then fills the input, and no px are spent on air and couch.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Pixels = TypeVar("Pixels", np.ndarray, Tensor)
BODY, LUNGS = "body", "lungs"
_LEAST_BODY = 0.05  # of the slice's px; what is smaller is no body
# Of the largest part: the chest walls of a slice that is cut close are larger, lines of a couch
# smaller. On 777 slices of Coronacases and 50 of COVID-SemiSeg no lesion px lies outside.
_LEAST_PART = 0.07
_MARGINS = {BODY: 0.02, LUNGS: 0.05}  # of the side, at either end: partial volume, consolidation


class Box(NamedTuple):
    """A rectangle of a slice, px."""

    top: int
    left: int
    height: int
    width: int

    def of(self, pixels: Pixels) -> Pixels:
        """The rectangle's px of (..., H, W), which share its memory."""
        rows = slice(self.top, self.top + self.height)
        return pixels[..., rows, self.left : self.left + self.width]


def find_box(
    crop: str, levels: NDArray[np.unsignedinteger], lung: NDArray[np.uint8] | None = None
) -> Box:
    """Where the body is, or the lungs are, with a margin.

    The body are the large connected parts above the threshold of Otsu, which leaves out a couch.

    Args:
        crop: BODY or LUNGS.
        levels: (H, W) uint8 or uint16 grey levels, air dark.
        lung: (H, W), > 0 is lung; for LUNGS.

    Returns:
        The box; of the body where no lung is marked, of the slice where there is no body.
    """
    if crop == LUNGS and lung is not None and lung.any():
        return _grown(cv2.boundingRect((lung > 0).astype(np.uint8)), lung.shape, _MARGINS[LUNGS])
    _, bright = cv2.threshold(
        np.ascontiguousarray(levels), 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU
    )
    _, _, parts, _ = cv2.connectedComponentsWithStats(bright.astype(np.uint8), connectivity=4)
    bodies = parts[1:]  # the first is the background
    areas = bodies[:, cv2.CC_STAT_AREA]
    if not len(areas) or areas.max() < _LEAST_BODY * levels.size:
        return Box(0, 0, *levels.shape)
    large = bodies[areas >= _LEAST_PART * areas.max()]
    left, top = large[:, cv2.CC_STAT_LEFT], large[:, cv2.CC_STAT_TOP]
    right = (left + large[:, cv2.CC_STAT_WIDTH]).max()
    bottom = (top + large[:, cv2.CC_STAT_HEIGHT]).max()
    rectangle = (left.min(), top.min(), right - left.min(), bottom - top.min())
    return _grown(rectangle, levels.shape, _MARGINS[BODY])


def _grown(rectangle: Sequence[int], shape: tuple[int, int], margin: float) -> Box:
    """The box of left, top, width, height and a margin, within a slice (H, W)."""
    left, top, width, height = (int(value) for value in rectangle)
    ends = []
    for start, side, limit in ((top, height, shape[0]), (left, width, shape[1])):
        more = round(margin * side)
        first, last = max(start - more, 0), min(start + side + more, limit)
        ends.append((first, last - first))
    (top, height), (left, width) = ends
    return Box(top, left, height, width)
