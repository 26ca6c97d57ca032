"""How often each grey level occurs: counts that add up over slices of 8 and 16 bits."""

from typing import Any

import cv2
import numpy as np

from datasets.intensity import IntensityRule
from utils.messages import count

PERCENTILES = (5, 25, 50, 75, 95)
GREY_PERCENTILES = (0.5, *PERCENTILES, 99.5)
NUM_BINS = 256
_NUM_LEVELS = 2**16


def count_levels(image: np.ndarray, region: np.ndarray | None = None) -> np.ndarray:
    """Pixels of each grey level.

    Args:
        image: (H, W) uint8 or uint16.
        region: (H, W) uint8, where to count it is not 0; None counts everywhere.

    Returns:
        (256,) or (65536,) float32 whole numbers.
    """
    num_levels = NUM_BINS if image.dtype == np.uint8 else _NUM_LEVELS
    return cv2.calcHist([image], [0], region, [num_levels], [0, num_levels]).ravel()


FEW_LEVELS = 32  # of a set; CT shown in 8 bits uses nearly all of 256


def num_levels(image: np.ndarray) -> int:
    """How many grey levels a slice uses."""
    return int(np.count_nonzero(count_levels(image)))


def describe_few_levels(most: int) -> str:
    """A line on images that lie in a small part of the scale, and the cure.

    Args:
        most: Grey levels that a slice uses at the most.
    """
    return (
        f"no slice uses more than {count(most, 'grey level')}; 16-bit images that fill a small "
        "part of their range lose the rest in 8 bits: convert them with --bits 16 --window LOW "
        "HIGH (the HU of black and white)"
    )


class GreyLevels:
    """Counts of grey levels; levels of 8 bits are spread over the scale of 16.

    Attributes:
        bits: The most of the images counted so far.
    """

    def __init__(self) -> None:
        self.bits = 8
        self._counts = np.zeros(_NUM_LEVELS, np.int64)

    def add(self, counts: np.ndarray) -> None:
        """Add what count_levels found in a slice."""
        self._counts[:: (_NUM_LEVELS - 1) // (counts.size - 1)] += counts.astype(np.int64)
        if counts.size > NUM_BINS:
            self.bits = 16

    def merge(self, other: "GreyLevels") -> None:
        """Add the counts of another set of slices."""
        self._counts += other._counts
        self.bits = max(self.bits, other.bits)

    @property
    def num_px(self) -> int:
        return int(self._counts.sum())

    def histogram(self) -> np.ndarray:
        """Pixels in 256 bins of equal width over the whole scale, (256,) int64."""
        return self._counts.reshape(NUM_BINS, -1).sum(1)

    def to_plain(self, bits: int, rule: IntensityRule | None) -> dict[str, Any] | None:
        """For JSON: percentiles are the least level that so many per cent do not exceed.

        Args:
            bits: Of the scale to name levels on, at least self.bits.
            rule: Adds the percentiles in HU where it is a window of Hounsfield units.

        Returns:
            None without a pixel.
        """
        if not self.num_px:
            return None
        top = 2**bits - 1
        wanted = np.array(GREY_PERCENTILES) / 100 * self.num_px
        places = np.searchsorted(np.cumsum(self._counts), wanted) / (_NUM_LEVELS - 1)
        plain = {
            "num_px": self.num_px,
            "share_at_lowest": round(float(self._counts[0] / self.num_px), 6),
            "share_at_highest": round(float(self._counts[-1] / self.num_px), 6),
            "percentiles": _by_percent(np.rint(places * top).astype(int)),
        }
        if rule is not None and rule.unit == "HU":
            units = rule.low + places * (rule.high - rule.low)
            plain["percentiles_hu"] = _by_percent(np.round(units, 1))
        return plain | {"histogram": self.histogram().tolist()}


def _by_percent(values: np.ndarray) -> dict[str, float]:
    return {
        f"{percent:g}": value
        for percent, value in zip(GREY_PERCENTILES, values.tolist(), strict=True)
    }
