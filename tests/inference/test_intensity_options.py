from pathlib import Path

import numpy as np
import pytest

from datasets.intensity import LUNG_WINDOW, IntensityRule
from datasets.volumes import Volume
from inference.intensity_options import IntensityOptions, describe_rule
from utils.errors import UserError

RAS = np.eye(4)


def volume(values: np.ndarray, slope: float = 1.0) -> Volume:
    return Volume("scan", Path("scan.nii"), values, RAS, slope)


def ramp(low: float, high: float, dtype: type = np.float32, num_slices: int = 40) -> Volume:
    """Values from low to high in every slice."""
    values = np.linspace(low, high, 36).reshape(6, 6, 1).repeat(num_slices, 2)
    return volume(values.astype(dtype))


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


@pytest.mark.parametrize(
    ("unit", "values"),
    [("0-255", ramp(-1000, 400)), ("0-1", ramp(0, 255)), ("HU", ramp(0, 1)), ("HU", ramp(0, 3000))],
)
def test_a_given_unit_counts_with_a_warning_where_the_values_are_not_of_it(
    unit: str, values: Volume, capsys: pytest.CaptureFixture
) -> None:
    assert IntensityOptions(LUNG_WINDOW, unit=unit).rule_for(values, is_dicom=False).unit == unit
    line = capsys.readouterr().err
    assert line.startswith("warning: scan.nii: its values, ")
    assert line.endswith(f"; taken as {unit} all the same\n")


@pytest.mark.parametrize("is_dicom", [False, True])
@pytest.mark.parametrize("values", [ramp(-1, 1), ramp(-160, 240), ramp(0, 4095), ramp(-50, 300)])
def test_values_of_no_unit_are_refused(values: Volume, is_dicom: bool) -> None:
    with pytest.raises(UserError, match=r"scan\.nii: its values, .* --intensity arbitrary"):
        IntensityOptions(LUNG_WINDOW).rule_for(values, is_dicom=is_dicom)


def test_dicom_is_in_hounsfield_units_unless_its_values_are_of_the_given_unit() -> None:
    grey = IntensityOptions(LUNG_WINDOW, unit="0-255")
    assert grey.rule_for(ramp(-1000, 400), is_dicom=True) == LUNG_WINDOW
    assert grey.rule_for(ramp(0, 255), is_dicom=True).unit == "0-255"


@pytest.mark.parametrize("is_dicom", [False, True])
@pytest.mark.parametrize("window", [None, (-1250, 250)])
def test_hu_without_their_offset_are_refused_with_the_window_that_they_need(
    is_dicom: bool, window: tuple[float, float] | None
) -> None:
    values = ramp(0, 3000)
    with pytest.raises(UserError, match=r"lost: .* --intensity arbitrary --window -226 1274$"):
        IntensityOptions(LUNG_WINDOW, window=window).rule_for(values, is_dicom=is_dicom)
    told = IntensityOptions(LUNG_WINDOW, unit="arbitrary", window=(-226, 1274))
    assert told.check_window() is None
    rule = told.rule_for(values, is_dicom=is_dicom)
    assert describe_rule(rule) == "values -226 to 1274"
    stored = np.array([[24, 1024]], np.float32)
    np.testing.assert_array_equal(rule.apply(stored), LUNG_WINDOW.apply(stored - 1024))


def test_arbitrary_values_need_a_window() -> None:
    with pytest.raises(UserError, match="--intensity arbitrary: needs --window LOW HIGH"):
        IntensityOptions(LUNG_WINDOW, unit="arbitrary").check_window()


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
