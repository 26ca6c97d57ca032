"""Every slice of a scan, small enough for one page to hold all of them."""

import base64
import json
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.intensity import LUNG_WINDOW, IntensityRule
from datasets.volumes.scratch import release_pages
from datasets.volumes.volume import Volume

# Characters of all slices, whatever the length of the scan: the page stays below 15 MB.
_ROOM = 14_000_000
_SLACK = 0.1  # of the room that the first slices may take beyond their share
_PICTURE_SHARE = 0.7  # of the room; labels and probabilities have the rest
# Long side in px and JPEG quality: the first that fits.
_RUNGS = (*product((512,), (80, 70, 60, 50)), (384, 50), (256, 50), (192, 40), (128, 40), (64, 40))
_PROB_SIDE_PX, _PROB_QUALITY = 256, 75
_LEAST_PROB = 5  # of 255: less is not to be seen
_NUM_SAMPLES = 8
_EXTREMES = (0.5, 99.5)  # percentiles: a bright pixel must not darken the slice
_STEP = 8  # between codes of labels: a browser that blurs what is read back changes the last bits
_RLE = cv2.IMWRITE_PNG_STRATEGY_RLE
_MOST_CLASSES = 256 // _STEP // 2 - 1
# The mediastinal window of 400 HU about 40 HU.
SOFT_WINDOW = IntensityRule("HU", -160.0, 240.0)
# Levels of the pictures over HU: soft tissue needs finer steps than lung.
_KNOTS_HU, _KNOTS = (LUNG_WINDOW.low, SOFT_WINDOW.low, LUNG_WINDOW.high), (0.0, 120.0, 255.0)


class GreyScale:
    """Eight bits that hold every window of the page.

    Attributes:
        windows: Grey levels, 256 of them, for the levels of a picture, by the window's name.
    """

    def __init__(self, own: IntensityRule | None) -> None:
        """Prepares the tables.

        Args:
            own: The one window of a scan that is not in HU; None for one that is.
        """
        levels = np.arange(256)
        self._rule = own
        if own is None:
            low, high = LUNG_WINDOW.low, LUNG_WINDOW.high
            steps = np.interp(np.arange(low, high + 1), _KNOTS_HU, _KNOTS)
            self._table = np.rint(steps).astype(np.uint8)
            hu = np.interp(levels, _KNOTS, _KNOTS_HU)
            named = {"lung": LUNG_WINDOW, "soft tissue": SOFT_WINDOW}
            self.windows = {name: window.apply(hu).tolist() for name, window in named.items()}
        else:
            self.windows = {"own": levels.tolist()}

    def levels(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """What a picture stores of a slice, (H, W)."""
        if self._rule is not None:
            return self._rule.apply(values)
        clipped = np.clip(values, LUNG_WINDOW.low, LUNG_WINDOW.high) - np.float32(LUNG_WINDOW.low)
        return self._table[clipped.astype(np.uint16)]


class SliceBrowser:
    """Slices with their lungs, lesions and probabilities, as text for a page.

    Memory holds the texts: 14 MB at the most.

    Args:
        volume: The scan.
        prob: (slices, H, W) uint8 probability of lesion, 255 being 1, or a memory map of it; None
            where it is not known.
        classes: Values of the mask that are told apart; less than two are no classes.
        unit_is_hu: Whether the scan is in HU.

    Attributes:
        texts: JSON of each slice added, without characters that HTML minds: width, height; image, a
            JPEG of levels, labels, a PNG of 8 (2 class + lung), and prob, a JPEG, as data URLs;
            "" where nothing is to be seen.
        windows: As GreyScale.
        has_prob: Whether probabilities are known.
    """

    def __init__(
        self, volume: Volume, prob: np.ndarray | None, classes: Sequence[int], unit_is_hu: bool
    ) -> None:
        places = np.linspace(0, len(volume) - 1, min(len(volume), _NUM_SAMPLES))
        samples = [volume.read_slice(int(place)) for place in places.round()]
        self._grey = GreyScale(None if unit_is_hu else own_window(samples))
        self.windows: Mapping[str, list[int]] = self._grey.windows
        self.has_prob = prob is not None
        self._prob, self._num_slices = prob, len(volume)
        self._codes = np.zeros(256, np.uint8)
        if len(classes) > 1:
            order = np.arange(1, len(classes) + 1)
            self._codes[list(classes)] = np.minimum(order, _MOST_CLASSES)
        else:
            self._codes[1:] = 1
        self._rung = self._first_rung(samples)
        self.texts: list[str] = []
        self._room_taken = 0

    def add(
        self,
        index: int,
        values: NDArray[np.float32],
        label: NDArray[np.uint8],
        lung: NDArray[np.uint8] | None,
    ) -> None:
        """Takes the next slice.

        Args:
            index: Its number; numbers rise by 1 from 0.
            values: (H, W), as Volume.read_slice.
            label: (H, W), 0 or a class.
            lung: (H, W), > 0 is lung; None where lungs are not known.
        """
        levels = self._grey.levels(values)
        prob = None if self._prob is None else np.array(self._prob[index])
        if prob is not None:
            release_pages(self._prob)
        allowed = _ROOM * (_SLACK + (1 - _SLACK) * (index + 1) / self._num_slices)
        while True:
            text = self._pack(levels, label, lung, prob)
            if self._room_taken + len(text) <= allowed or self._rung == len(_RUNGS) - 1:
                break
            self._rung += 1
        self._room_taken += len(text)
        self.texts.append(text)

    def _first_rung(self, samples: Sequence[NDArray[np.float32]]) -> int:
        """The first at which pictures of these slices leave room for all."""
        room = _PICTURE_SHARE * _ROOM / self._num_slices
        for rung, (side, quality) in enumerate(_RUNGS):
            taken = [len(_picture(self._grey.levels(one), side, quality)) for one in samples]
            if sum(taken) <= room * len(samples):
                return rung
        return len(_RUNGS) - 1

    def _pack(
        self,
        levels: NDArray[np.uint8],
        label: NDArray[np.uint8],
        lung: NDArray[np.uint8] | None,
        prob: NDArray[np.uint8] | None,
    ) -> str:
        """A slice at the present rung."""
        side, quality = _RUNGS[self._rung]
        width, height = _fit(levels, side)
        own: dict[str, Any] = {"width": width, "height": height, "labels": "", "prob": ""}
        own["image"] = _picture(levels, side, quality)
        if label.any() or (lung is not None and lung.any()):
            codes = _shrink(cv2.LUT(label.astype(np.uint8), self._codes), lung, (width, height))
            own["labels"] = _address(".png", codes, cv2.IMWRITE_PNG_STRATEGY, _RLE)
        if prob is not None and prob.max() >= _LEAST_PROB:
            own["prob"] = _picture(prob, min(_PROB_SIDE_PX, side), _PROB_QUALITY)
        return json.dumps(own)


def own_window(images: Sequence[NDArray[np.float32]]) -> IntensityRule:
    """Between the extremes of some slices, for a scan that is not in HU."""
    low, high = np.percentile(np.stack(images), _EXTREMES)
    return IntensityRule("arbitrary", float(low), float(max(high, low + 1e-6)))


def _fit(levels: np.ndarray, side: int) -> tuple[int, int]:
    """Width and height with a long side of at most so many px."""
    shrink = min(side / max(levels.shape), 1)
    height, width = (max(round(length * shrink), 1) for length in levels.shape)
    return width, height


def _picture(levels: NDArray[np.uint8], side: int, quality: int) -> str:
    """Data URL of a JPEG with a long side of at most so many px."""
    size = _fit(levels, side)
    if size != levels.shape[::-1]:
        levels = cv2.resize(levels, size, interpolation=cv2.INTER_AREA)
    return _address(".jpg", levels, cv2.IMWRITE_JPEG_QUALITY, quality)


def _shrink(
    classes: NDArray[np.uint8], lung: NDArray[np.uint8] | None, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Codes of a slice at a size, width first; no lesion is too small to be seen."""
    inside = np.zeros_like(classes) if lung is None else (lung > 0).astype(np.uint8)
    if size != classes.shape[::-1]:
        inside = cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST)
        small = np.zeros_like(inside)
        for value in np.unique(classes[classes > 0]):
            own = (classes == value).astype(np.float32)
            small[cv2.resize(own, size, interpolation=cv2.INTER_AREA) > 0] = value
        classes = small
    return _STEP * (2 * classes + inside)


def _address(suffix: str, picture: NDArray[np.uint8], option: int, value: int) -> str:
    """Data URL of a picture."""
    kind = {".jpg": "jpeg", ".png": "png"}[suffix]
    data = cv2.imencode(suffix, picture, [option, value])[1].tobytes()
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
