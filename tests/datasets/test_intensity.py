"""Windows of stored values become grey levels."""

import numpy as np
import pytest

from datasets.intensity import GREY_LEVELS, LUNG_WINDOW, UNIT_RANGE, IntensityRule


@pytest.mark.parametrize(
    ("value", "bits", "expected"),
    [
        (-1250, 8, 0),
        (250, 8, 255),
        (-500, 8, 128),  # 127.5, rounded half up
        (-3000, 8, 0),
        (3000, 8, 255),
        (-1250, 16, 0),
        (250, 16, 65535),
        (-1249, 16, 44),  # 65535 / 1500 = 43.69
    ],
)
def test_the_lung_window_maps_linearly_and_cuts_off(value: float, bits: int, expected: int) -> None:
    grey = LUNG_WINDOW.apply(np.array([[value]]), bits)
    assert grey.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert grey.tolist() == [[expected]]


def test_grey_levels_stay_as_they_are() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(GREY_LEVELS.apply(levels), levels)
    assert np.array_equal(GREY_LEVELS.apply(levels, 16), levels.astype(np.uint16) * 257)


def test_the_unit_range_fills_all_grey_levels() -> None:
    values = np.linspace(0, 1, 256, dtype=np.float32)[None]
    assert np.array_equal(UNIT_RANGE.apply(values)[0], np.arange(256))


def test_16_bits_tell_neighbouring_hounsfield_units_apart() -> None:
    units = np.arange(-1250, 251)[None]
    assert len(np.unique(LUNG_WINDOW.apply(units, 16))) == units.size


def test_a_rule_survives_plain_types() -> None:
    rule = IntensityRule("HU", -1400.0, 100.0)
    assert IntensityRule(**rule.to_plain()) == rule
