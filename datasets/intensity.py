"""How stored values become the grey levels that a network is trained on and fed with."""

from typing import Any, NamedTuple

import numpy as np

UNITS = ("HU", "0-255", "0-1", "arbitrary")


class IntensityRule(NamedTuple):
    """A window of stored values, mapped linearly to all grey levels and cut off outside.

    Attributes:
        unit: What the stored values are, one of UNITS; arbitrary ones carry no Hounsfield scale.
        low: The value that becomes black.
        high: The value that becomes white.
    """

    unit: str
    low: float
    high: float

    def apply(self, values: np.ndarray, bits: int = 8) -> np.ndarray:
        """Grey levels of a slice.

        Args:
            values: (H, W), finite.
            bits: 8 or 16.

        Returns:
            (H, W) uint8 or uint16, rounded half up.
        """
        top = 2**bits - 1
        scaled = (values.astype(np.float32) - self.low) * (top / (self.high - self.low))
        dtype = np.uint8 if bits == 8 else np.uint16
        return np.clip(np.floor(scaled + 0.5), 0, top).astype(dtype)

    def to_plain(self) -> dict[str, Any]:
        """For JSON and checkpoints."""
        return self._asdict()


# Wide enough for lung and mediastinum; the window that Ma et al. applied to the Radiopaedia half of
# the COVID-19-CT-Seg set before they published it.
LUNG_WINDOW = IntensityRule("HU", -1250.0, 250.0)
GREY_LEVELS = IntensityRule("0-255", 0.0, 255.0)
UNIT_RANGE = IntensityRule("0-1", 0.0, 1.0)
