"""From what a scan stores to the grey levels that a network was trained on."""

from typing import NamedTuple

import numpy as np

from datasets.intensity import IntensityRule
from datasets.volumes import Volume
from utils.errors import UserError

AUTO, HU, GRAY, UNIT = "auto", "HU", "0-255", "0-1"
INTENSITIES = (AUTO, HU, GRAY, UNIT)
_EXAMPLE = "--window -1250 250"
_NUM_SAMPLES = 16  # slices that are looked at
_RANGES = {UNIT: (0.0, 1.0), GRAY: (0.0, 255.0)}


class IntensityOptions(NamedTuple):
    """How volumes become grey levels.

    Attributes:
        trained: The rule of the training data; None where the checkpoint does not know it.
        bits: Of the training data's grey levels, 8 or 16.
        unit: What the volumes store, one of INTENSITIES; auto looks at each of them.
        window: Bounds in HU instead of the rule's.
    """

    trained: IntensityRule | None
    bits: int = 8
    unit: str = AUTO
    window: tuple[float, float] | None = None

    def rule_for(self, volume: Volume, *, is_dicom: bool) -> IntensityRule:
        """The rule of a volume; DICOM CT is in HU by its own definition.

        Raises:
            UserError: The volume is in HU, and nobody says which window the network knows; or a
                value is not finite.
        """
        unit = HU if is_dicom else self.unit
        if unit == AUTO:
            unit = recognise_unit(volume)
        if unit != HU:
            return IntensityRule(unit, *_RANGES[unit])
        if self.window:
            return IntensityRule(HU, *self.window)
        if self.trained is None or self.trained.unit != HU:
            raise UserError(
                f"{volume.path}: in Hounsfield units, and the checkpoint does not say which window "
                f"its training data went through; give it, such as {_EXAMPLE}"
            )
        return self.trained

    def check_window(self) -> str | None:
        """A warning where the given window is not the one of the training data.

        Raises:
            UserError: The window is empty.
        """
        if self.window is None:
            return None
        low, high = self.window
        if not -np.inf < low < high < np.inf:
            raise UserError(f"--window {low:g} {high:g}: LOW must be below HIGH, {_EXAMPLE}")
        if self.trained is None or (self.trained.low, self.trained.high) == self.window:
            return None
        return (
            f"--window {low:g} {high:g}: the network was trained on HU "
            f"{self.trained.low:g} to {self.trained.high:g}; its scores hold for that window"
        )


def recognise_unit(volume: Volume) -> str:
    """What a volume stores, by the range of some slices: 0-1, 0-255 or HU.

    Air is -1000 HU, so a scan in HU leaves [0, 255]. A volume of one value only counts as 0-255.

    Raises:
        UserError: A value is NaN or infinite.
    """
    num_slices = min(len(volume), _NUM_SAMPLES)
    picked = np.linspace(0, len(volume) - 1, num_slices).round().astype(int)
    low, high = np.inf, -np.inf
    for index in picked:
        values = volume.read_slice(int(index))
        low, high = min(low, values.min()), max(high, values.max())
    if low < 0 or high > 255:
        return HU
    return UNIT if low < high <= 1 else GRAY


def describe_rule(rule: IntensityRule) -> str:
    """For the line that is printed per volume."""
    if rule.unit == HU:
        return f"HU {rule.low:g} to {rule.high:g}"
    return f"grey levels {rule.unit}"
