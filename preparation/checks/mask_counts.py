"""Grey levels under the masks of a scan, in each of the sixteen positions of the masks."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from preparation.checks.near_duplicates import THUMBNAIL_SIDE
from preparation.checks.positions import POSITIONS, Position

_BITS = 3  # of the levels of grey, and of smoothed grey
_LEVELS = 2**_BITS
# Sides of two boxes one after the other, px of a thumbnail: nearly a Gaussian of 4 px, in a tenth
# of its time.
_SURROUNDINGS = (9, 11)
_SAMPLES = 2  # of a mask for a px of its thumbnail, in either direction, at least
_LEAST_LUNG_PX = 20  # of a thumbnail; smaller dark pieces are bowel, airways or noise


class ImageSurvey(NamedTuple):
    """What the thumbnails of the images of a scan hold.

    Attributes:
        px: (n, bins) px by grey level and surroundings.
        levels: (n, 64, 64) uint8 the bin of every px.
        lungs: (n, 64, 64) uint8, 1 within the outline of the lungs.
    """

    px: np.ndarray
    levels: np.ndarray
    lungs: np.ndarray

    def some(self, places: Sequence[int]) -> "ImageSurvey":
        """Of some of the slices."""
        return ImageSurvey(*(part[places] for part in self))


class MaskCounts(NamedTuple):
    """What the thumbnails of a scan hold, a row per slice.

    Attributes:
        px: (n, bins) px by grey level and surroundings.
        mask: (n, 16, bins) px of the mask in every position; NaN where the image is not square and
            the position exchanges its sides.
        inside: (n, 16) px of the mask in every position within the outline of the lungs.
    """

    px: np.ndarray
    mask: np.ndarray
    inside: np.ndarray


def make_mask_thumbnail(mask: np.ndarray) -> np.ndarray:
    """A mask in small.

    Args:
        mask: (H, W), 0 outside.

    Returns:
        (64, 64) uint8, 255 where all px are set.
    """
    step = max(1, min(mask.shape) // (THUMBNAIL_SIDE * _SAMPLES))
    sampled = mask[step // 2 :: step, step // 2 :: step]
    stored = sampled.view(np.uint8) if mask.dtype == bool else sampled
    is_set = cv2.compare(np.ascontiguousarray(stored), 0, cv2.CMP_NE)
    return cv2.resize(is_set, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA)


def survey_images(images: Sequence[np.ndarray]) -> ImageSurvey:
    """Look at the images of a scan.

    Args:
        images: Thumbnails by make_thumbnail, in the order of the slices.
    """
    levels = _bins(images)
    px = np.stack([np.bincount(level.ravel(), minlength=_LEVELS**2) for level in levels])
    return ImageSurvey(px, levels, np.stack([outline_lungs(image) for image in images]))


def count_mask(images: ImageSurvey, masks: Sequence[np.ndarray], *, is_square: bool) -> MaskCounts:
    """Count the masks of a scan.

    Args:
        images: Of the same slices.
        masks: Thumbnails by make_mask_thumbnail.
        is_square: Whether the images have equal sides.
    """
    num, bins = images.px.shape
    stack = np.stack(masks)
    places = np.nonzero(stack)
    weights = stack[places] / 255.0
    found = np.full((num, len(POSITIONS), bins), np.nan, np.float32)
    inside = np.full((num, len(POSITIONS)), np.nan, np.float32)
    for index, position in enumerate(POSITIONS):
        if position.exchanges_sides and not is_square:
            continue
        slices, rows, columns = _moved(places, position, num)
        here = slices * bins + images.levels[slices, rows, columns]
        found[:, index] = np.bincount(here, weights, num * bins).reshape(num, bins)
        in_lungs = weights * images.lungs[slices, rows, columns]
        inside[:, index] = np.bincount(slices, in_lungs, num)
    return MaskCounts(images.px, found, inside)


def outline_lungs(image: np.ndarray) -> np.ndarray:
    """The convex outline of all dark parts that do not touch the border; nothing where none are.

    Args:
        image: (64, 64) uint8 thumbnail.
    """
    dark = cv2.threshold(image, 0, 1, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)[1]
    _, pieces, sizes, _ = cv2.connectedComponentsWithStats(dark, connectivity=4)
    is_lung = sizes[:, cv2.CC_STAT_AREA] >= _LEAST_LUNG_PX
    for side in (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]):
        is_lung[side] = False
    is_lung[0] = False
    outline = np.zeros_like(image)
    points = cv2.findNonZero(is_lung.astype(np.uint8)[pieces])
    if points is not None:
        cv2.fillConvexPoly(outline, cv2.convexHull(points), 1)
    return outline


def _bins(images: Sequence[np.ndarray]) -> np.ndarray:
    """(n, 64, 64) uint8 the number of grey level and surroundings of every px."""
    smooth = list(images)
    for side in _SURROUNDINGS:
        smooth = [cv2.blur(image, (side, side)) for image in smooth]
    rows, columns = (np.stack(part) >> (8 - _BITS) for part in (images, smooth))
    return rows << _BITS | columns


def _moved(places: tuple[np.ndarray, ...], position: Position, num: int) -> tuple[np.ndarray, ...]:
    """Slice, row and column of px once their masks are turned as positions.turn does it."""
    slices, rows, columns = places
    last = THUMBNAIL_SIDE - 1
    if position.exchanges_sides:
        rows, columns = columns, rows
    rows = last - rows if position.turn & 2 else rows
    columns = last - columns if position.turn & 1 else columns
    return (num - 1 - slices if position.reverse else slices), rows, columns
