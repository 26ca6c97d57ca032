"""From what a scan stores to the grey levels that a network was trained on."""

import sys
from typing import NamedTuple

import numpy as np

from datasets.intensity import LUNG_WINDOW, IntensityRule
from datasets.units import (
    ARBITRARY,
    GRAY,
    HU,
    OFFSET,
    UNIT,
    StoredValues,
    find_misfit,
    is_label_map,
    is_offset,
    recognise_unit,
    sample_values,
)
from datasets.volumes import Volume
from utils.errors import UserError

AUTO = "auto"
INTENSITIES = (AUTO, HU, GRAY, UNIT, ARBITRARY)
_EXAMPLE = "--window -1250 250"
_RANGES = {UNIT: (0.0, 1.0), GRAY: (0.0, 255.0)}


class IntensityOptions(NamedTuple):
    """How volumes become grey levels.

    Attributes:
        trained: The rule of the training data; None where the checkpoint does not know it.
        bits: Of the training data's grey levels, 8 or 16.
        unit: What the volumes store, one of INTENSITIES; auto looks at each of them.
        window: Bounds in HU, or of arbitrary values, instead of the rule's.
    """

    trained: IntensityRule | None
    bits: int = 8
    unit: str = AUTO
    window: tuple[float, float] | None = None

    def rule_for(self, volume: Volume, *, is_dicom: bool) -> IntensityRule:
        """The rule of a volume.

        Its values are looked at whatever the unit that it should be in. DICOM CT is in HU by its
        own definition; a given unit counts for a series that is not. A given unit that does not
        fit gets a warning.

        Raises:
            UserError: The values are of no unit; the volume is in HU, and nobody says which window
                the network knows; or a value is not finite.
        """
        unit = self._unit_of(volume, is_dicom)
        if unit in _RANGES:
            return IntensityRule(unit, *_RANGES[unit])
        if self.window:
            return IntensityRule(unit, *self.window)
        if self.trained is None or self.trained.unit != unit:
            raise UserError(
                f"{volume.path}: in Hounsfield units, and the checkpoint does not say which window "
                f"its training data went through; give it, such as {_EXAMPLE}"
            )
        return self.trained

    def _unit_of(self, volume: Volume, is_dicom: bool) -> str:
        """What a volume stores."""
        values = sample_values(volume)
        if self.unit == AUTO and not is_dicom:
            unit = recognise_unit(values)
            if unit in _RANGES and is_label_map(values):
                raise UserError(
                    f"{volume.path}: is a mask or label map by its values, {values.low:g} to "
                    f"{values.high:g}, and no scan; leave it out, or say what it is by --intensity"
                )
            if unit:
                return unit
            problem = f"{find_misfit(values, HU)}, nor grey levels of 0 to 255 or 0 to 1"
            raise self._refusal(volume, values, problem)
        unit = HU if self.unit == AUTO else self.unit
        if is_dicom and unit in _RANGES and not find_misfit(values, HU):
            return HU
        if problem := find_misfit(values, unit):
            refusal = self._refusal(volume, values, problem)
            if self.unit == AUTO:
                raise refusal
            print(f"warning: {refusal}; taken as {unit} all the same", file=sys.stderr)
        return unit

    def _refusal(self, volume: Volume, values: StoredValues, problem: str) -> UserError:
        """One line that says what to do."""
        rule = self.trained if self.trained and self.trained.unit == HU else LUNG_WINDOW
        if is_offset(values):
            low, high = (limit + OFFSET for limit in self.window or (rule.low, rule.high))
            cure = (
                f"they look like HU + {OFFSET:g}, the rescale intercept being lost: export the "
                f"scan again, or give --intensity {ARBITRARY} --window {low:g} {high:g}"
            )
        else:
            cure = (
                f"say what they are by --intensity, or by --intensity {ARBITRARY} --window LOW "
                "HIGH which of them become black and white"
            )
        span = f"its values, {values.low:g} to {values.high:g}, {problem}"
        return UserError(f"{volume.path}: {span}; {cure}")

    def check_window(self) -> str | None:
        """A warning where the given window is not the one of the training data.

        Raises:
            UserError: The window is empty, or there is none for arbitrary values.
        """
        if self.window is None:
            if self.unit == ARBITRARY and (self.trained is None or self.trained.unit != ARBITRARY):
                raise UserError(
                    f"--intensity {ARBITRARY}: needs --window LOW HIGH, the values that become "
                    "black and white"
                )
            return None
        low, high = self.window
        if not -np.inf < low < high < np.inf:
            raise UserError(f"--window {low:g} {high:g}: LOW must be below HIGH, {_EXAMPLE}")
        is_known = self.trained is not None and self.unit != ARBITRARY
        if not is_known or (self.trained.low, self.trained.high) == self.window:
            return None
        return (
            f"--window {low:g} {high:g}: the network was trained on HU "
            f"{self.trained.low:g} to {self.trained.high:g}; its scores hold for that window"
        )


def describe_rule(rule: IntensityRule) -> str:
    """For the line that is printed per volume."""
    if rule.unit == HU:
        return f"HU {rule.low:g} to {rule.high:g}"
    if rule.unit == ARBITRARY:
        return f"values {rule.low:g} to {rule.high:g}"
    return f"grey levels {rule.unit}"
