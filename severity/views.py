"""Slices with the outlines of lungs and lesions, to check by eye what the figures rest on."""

import base64
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.intensity import LUNG_WINDOW
from datasets.volumes.volume import Volume
from figures.outlines import outline
from severity.browser import own_window
from severity.lungs.grid import read_label
from severity.lungs.lungs import Lungs
from severity.lungs.sides import LEFT, RIGHT, SIDES
from severity.regions import SliceCounts

NUM_VIEWS = 12
_LONG_SIDE_PX = 384
_QUALITY = 70
_MARGIN = 0.04  # of the image's sides around lungs and lesions


class View(NamedTuple):
    """A slice as it stands on the page.

    Attributes:
        index: Slice, counted from 0 at the feet.
        width: Of the picture, px of the scan: the system of coordinates of the outlines.
        height: Likewise.
        aspect: Width over height in mm.
        image: Data URL of a WebP.
        right: SVG path of the right lung.
        left: SVG path of the left lung.
        lesions: SVG path of the lesions of every class; one path where there are no classes.
    """

    index: int
    width: int
    height: int
    aspect: float
    image: str
    right: str
    left: str
    lesions: tuple[str, ...]


def make_views(
    volume: Volume,
    mask: np.ndarray,
    lungs: Lungs | None,
    counts: SliceCounts,
    unit_is_hu: bool,
    classes: Sequence[int] = (),
) -> list[View]:
    """Slices spread over the lungs, among them the one with most lesion; from head to feet.

    Args:
        volume: The scan.
        mask: (slices, H, W); > 0 is lesion.
        lungs: Of the scan, or None.
        counts: Of the same scan, mask and lungs.
        unit_is_hu: Shown in the lung window if so, else between the scan's own extremes.
        classes: Values of the mask that have an outline each; less than two share one.
    """
    chosen = choose_slices(counts)
    classed = [read_label(mask, index) for index in chosen]
    lesions = [values > 0 for values in classed]
    labels = [
        np.zeros(lesion.shape, np.uint8) if lungs is None else lungs.read_slice(index, lesion)
        for index, lesion in zip(chosen, lesions, strict=True)
    ]
    box = _common_box(np.array(labels), np.any([*labels, *lesions], axis=0))
    images = [volume.read_slice(index)[box] for index in chosen]
    window = LUNG_WINDOW if unit_is_hu else own_window(images)
    views = []
    for index, image, label, values in zip(chosen, images, labels, classed, strict=True):
        height, width = image.shape
        sides = [outline((label == side)[box])[0] for side in (RIGHT, LEFT)]
        inside = [values == own for own in classes] if len(classes) > 1 else [values > 0]
        paths = tuple(outline(own[box])[0] for own in inside)
        aspect = width * volume.spacing[2] / (height * volume.spacing[1])
        picture = picture_url(window.apply(image))
        views.append(View(index, width, height, aspect, picture, *sides, paths))
    return views[::-1]


def choose_slices(counts: SliceCounts) -> list[int]:
    """At most 12 slices, rising: where there is lung, else where there is lesion, else anywhere."""
    found = np.flatnonzero(counts.lung[:, (LEFT, RIGHT)].any(1))
    lesion = counts.lesion.sum(1)
    if not len(found):
        found = np.flatnonzero(lesion) if lesion.any() else np.arange(len(lesion))
    places = np.linspace(found[0], found[-1], NUM_VIEWS + 2)[1:-1]
    chosen = np.unique(np.rint(places).astype(int))
    if lesion.any():
        most = int(lesion.argmax())
        chosen[np.abs(chosen - most).argmin()] = most
    return sorted({int(index) for index in chosen})


def _common_box(labels: NDArray[np.uint8], inside: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns around lungs and lesions with a margin; all, unless there are both lungs.

    Who looks for a missing lung needs the rest of the chest.

    Args:
        labels: (n, H, W) lungs of the slices.
        inside: (H, W) lungs and lesions of any slice.
    """
    if not all((labels == side).any() for side in SIDES):
        return slice(None), slice(None)
    box = []
    for size, across in zip(inside.shape, (1, 0), strict=True):
        found = np.flatnonzero(inside.any(across))
        margin = round(_MARGIN * size)
        box.append(slice(max(found[0] - margin, 0), min(found[-1] + 1 + margin, size)))
    return box[0], box[1]


def picture_url(grey: NDArray[np.uint8], long_side: int = _LONG_SIDE_PX) -> str:
    """Data URL of a picture of at most so many px."""
    shrink = min(long_side / max(grey.shape), 1)
    size = [max(round(side * shrink), 1) for side in grey.shape[::-1]]
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".webp", small, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])[1].tobytes()
    return "data:image/webp;base64," + base64.b64encode(data).decode("ascii")
