from pathlib import Path

import numpy as np
import pytest

from datasets.intensity import LUNG_WINDOW, IntensityRule
from datasets.volumes import Volume
from inference.intensity_options import IntensityOptions, describe_rule, recognise_unit
from utils.errors import UserError

RAS = np.eye(4)


def volume(values: np.ndarray, slope: float = 1.0) -> Volume:
    return Volume("scan", Path("scan.nii"), values, RAS, slope)


def ramp(low: float, high: float, dtype: type = np.float32, num_slices: int = 40) -> Volume:
    """Values from low to high in every slice."""
    values = np.linspace(low, high, 36).reshape(6, 6, 1).repeat(num_slices, 2)
    return volume(values.astype(dtype))


@pytest.mark.parametrize(
    ("low", "high", "dtype", "unit"),
    [
        (0, 1, np.float32, "0-1"),
        (0.1, 0.9, np.float64, "0-1"),
        (0, 1, np.uint8, "0-1"),
        (0, 255, np.uint8, "0-255"),
        (3, 180.5, np.float32, "0-255"),
        (0, 0, np.int16, "0-255"),
        (1, 1, np.float32, "0-255"),
        (-1000, 400, np.int16, "HU"),
        (-1, 1, np.float32, "HU"),
        (0, 256, np.int16, "HU"),
    ],
)
def test_the_unit_is_told_by_the_range(low: float, high: float, dtype: type, unit: str) -> None:
    assert recognise_unit(ramp(low, high, dtype)) == unit


def test_the_unit_is_that_of_the_values_after_the_slope() -> None:
    assert recognise_unit(volume(ramp(0, 255).stored, slope=1 / 255)) == "0-1"


def test_some_slices_of_a_long_scan_are_enough() -> None:
    scan = ramp(0, 255, num_slices=600)
    scan.stored[..., 300:] = -1000  # the legs, say
    assert recognise_unit(scan) == "HU"


def test_a_value_that_is_not_finite_is_refused() -> None:
    scan = ramp(0, 1)
    scan.stored[0, 0, 0] = np.nan
    with pytest.raises(UserError, match=r"scan\.nii: slice 0 holds NaN"):
        recognise_unit(scan)


def test_hounsfield_units_go_through_the_rule_of_the_training_data() -> None:
    rule = IntensityRule("HU", -1400, 100)
    assert IntensityOptions(rule).rule_for(ramp(-1000, 400), is_dicom=False) == rule
    window = IntensityOptions(rule, window=(-1000, 0)).rule_for(ramp(-1000, 400), is_dicom=False)
    assert window == IntensityRule("HU", -1000, 0)


def test_grey_levels_stay_what_they_are() -> None:
    rule = IntensityOptions(LUNG_WINDOW).rule_for(ramp(0, 255), is_dicom=False)
    levels = np.arange(256, dtype=np.float32)
    np.testing.assert_array_equal(rule.apply(levels), levels)
    rule = IntensityOptions(LUNG_WINDOW).rule_for(ramp(0, 1), is_dicom=False)
    np.testing.assert_array_equal(rule.apply(levels / 255), levels)
    assert describe_rule(rule) == "grey levels 0-1"


def test_dicom_is_in_hounsfield_units_and_a_given_unit_is_not_questioned() -> None:
    grey = IntensityOptions(LUNG_WINDOW, unit="0-255")
    assert grey.rule_for(ramp(0, 255), is_dicom=True) == LUNG_WINDOW
    assert grey.rule_for(ramp(-1000, 400), is_dicom=False).unit == "0-255"
    assert (
        IntensityOptions(LUNG_WINDOW, unit="HU").rule_for(ramp(0, 1), is_dicom=False) == LUNG_WINDOW
    )


@pytest.mark.parametrize("trained", [None, IntensityRule("arbitrary", 0, 4000)])
def test_without_a_rule_a_window_must_be_given(trained: IntensityRule | None) -> None:
    with pytest.raises(UserError, match=r"scan\.nii: .*--window -1250 250"):
        IntensityOptions(trained).rule_for(ramp(-1000, 400), is_dicom=False)
    IntensityOptions(trained, window=(-1250, 250)).rule_for(ramp(-1000, 400), is_dicom=True)
    assert IntensityOptions(trained).rule_for(ramp(0, 1), is_dicom=False).unit == "0-1"


def test_a_window_other_than_the_rule_gets_a_warning() -> None:
    assert IntensityOptions(LUNG_WINDOW).check_window() is None
    assert IntensityOptions(LUNG_WINDOW, window=(-1250, 250)).check_window() is None
    assert IntensityOptions(None, window=(-1000, 400)).check_window() is None
    warning = IntensityOptions(LUNG_WINDOW, window=(-1000, 400)).check_window()
    assert "-1000 400" in warning
    assert "-1250 to 250" in warning


@pytest.mark.parametrize("window", [(0, 0), (10, -10), (np.nan, 1), (-np.inf, 1)])
def test_an_empty_window_is_refused(window: tuple[float, float]) -> None:
    with pytest.raises(UserError, match="--window"):
        IntensityOptions(LUNG_WINDOW, window=window).check_window()
