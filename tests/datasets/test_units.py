"""What a scan stores is told by its values, and what they cannot be is said."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.units import (
    find_misfit,
    is_label_map,
    is_offset,
    recognise_unit,
    sample_values,
)
from datasets.volumes import Volume
from utils.errors import UserError

SIZE = 120


def volume(values: np.ndarray, slope: float = 1.0) -> Volume:
    """Of (slices, H, W)."""
    return Volume("scan", Path("scan.nii"), values.transpose(2, 1, 0), np.eye(4), slope)


def ramp(low: float, high: float, dtype: type = np.float32, num_slices: int = 40) -> Volume:
    """Values from low to high in every slice."""
    values = np.linspace(low, high, 36).reshape(1, 6, 6).repeat(num_slices, 0)
    return volume(values.astype(dtype))


def chest(num_slices: int = 6) -> np.ndarray:
    """(slices, H, W) HU: air, a body of fat, muscle and bone, two lungs, all with noise."""
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    values = np.full((SIZE, SIZE), -1000.0)
    values[(rows / 0.4) ** 2 + (columns / 0.46) ** 2 < 1] = -100
    values[(rows / 0.36) ** 2 + (columns / 0.42) ** 2 < 1] = 40
    values[(rows - 0.28) ** 2 + columns**2 < 0.05**2] = 900
    for side in (-0.2, 0.2):
        values[(rows / 0.25) ** 2 + ((columns - side) / 0.15) ** 2 < 1] = -850
    noise = np.random.default_rng(0).normal(0, 25, (num_slices, SIZE, SIZE))
    return (values + noise).clip(-1024, 3071).round().astype(np.float32)


def grey() -> np.ndarray:
    return ((chest() + 1250) / 1500 * 255).clip(0, 255)


def padded(values: np.ndarray, padding: float) -> np.ndarray:
    """Values within the circle that was scanned."""
    rows, columns = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    return np.where(rows**2 + columns**2 < (SIZE / 2) ** 2, values, padding)


def framed(values: np.ndarray, padding: float) -> np.ndarray:
    """A wide rim around, as registration leaves it."""
    return np.pad(values, ((0, 0), (20, 20), (20, 20)), constant_values=padding)


def resampled(values: np.ndarray) -> np.ndarray:
    """Cubic, as most tools do it: edges overshoot."""
    return np.stack([cv2.resize(one, None, fx=1.4, fy=1.4, interpolation=cv2.INTER_CUBIC)
                     for one in values.astype(np.float32)])  # fmt: skip


def abdomen_first(values: np.ndarray) -> np.ndarray:
    """Half of the slices without any air but for the padding around."""
    slices = values.copy()
    slices[:3] = padded(np.maximum(slices[:3], -100), -1024)
    return slices


HOUNSFIELD = {
    "as it is": chest,
    "padded": lambda: padded(chest(), -2000),
    "padded twice": lambda: framed(padded(chest(), -2000), -3024),
    "padded and resampled": lambda: resampled(padded(chest(), -1024)),
    "cut off at the air": lambda: chest().clip(-1000, 400),
    "abdomen": lambda: abdomen_first(chest()),
    "0 outside of the lungs": lambda: np.where(chest() < -500, chest(), 0),
    "air outside of the lungs": lambda: np.where(chest() < -500, chest(), -1000),
}  # fmt: skip
OFFSET = {
    "unsigned": lambda: (chest() + 1024).clip(0, 4095),
    "padded": lambda: padded(chest() + 1024, -2000),
    "padded as air is": lambda: padded(chest() + 1024, -1024),
    "padded by -1000": lambda: padded(chest() + 1024, -1000),
    "resampled": lambda: resampled(chest() + 1024),
}
NOTHING = {
    "an offset in every other slice": lambda: chest() + 1024 * (np.arange(6) % 2)[:, None, None],
    "an offset, padded and resampled": lambda: resampled(padded(chest() + 1024, -1024)),
    "the offset subtracted twice": lambda: chest() - 1024,
    "without a sign": lambda: chest() % 65536,
    "an offset of 32768": lambda: chest() + 32768,
    "soft tissue alone": lambda: chest().clip(-160, 240),
    "z-scored": lambda: (chest() - chest().mean()) / chest().std(),
    "-1 to 1": lambda: grey() / 127.5 - 1,
    "-0.5 to 0.5": lambda: grey() / 255 - 0.5,
    "thousands of HU": lambda: chest() / 1000,
    "0-1 divided again": lambda: grey() / 255 / 255,
    "-128 to 127": lambda: grey() - 128,
    "12 bits": lambda: grey() * 16,
    "16 bits": lambda: grey() * 257,
    "grey levels, padded as air is": lambda: padded(grey(), -1024),
    "iodine": lambda: np.rint((chest() + 1024) / 10) * 0.01,
    "classes": lambda: (chest() > -500).astype(int) + 2 * (chest() > 500),
}


@pytest.mark.parametrize("draw", HOUNSFIELD.values(), ids=HOUNSFIELD)
def test_hounsfield_units_are_told_by_their_air(draw: Callable) -> None:
    values = sample_values(volume(draw()))
    assert recognise_unit(values) == "HU"
    assert not is_offset(values)


@pytest.mark.parametrize("draw", OFFSET.values(), ids=OFFSET)
def test_an_offset_is_seen_whatever_the_padding(draw: Callable) -> None:
    values = sample_values(volume(draw()))
    assert recognise_unit(values) is None
    assert "no Hounsfield units" in find_misfit(values, "HU")
    assert is_offset(values)


@pytest.mark.parametrize("draw", NOTHING.values(), ids=NOTHING)
def test_values_of_no_unit_are_none(draw: Callable) -> None:
    values = sample_values(volume(draw()))
    assert recognise_unit(values) is None
    assert "no Hounsfield units" in find_misfit(values, "HU")


@pytest.mark.parametrize("draw", [
    lambda: chest() % 65536, lambda: chest() + 1250, lambda: chest() + 8192, chest, grey,
])  # fmt: skip
def test_other_values_are_not_taken_for_that_offset(draw: Callable) -> None:
    assert not is_offset(sample_values(volume(draw())))


@pytest.mark.parametrize(("unit", "white"), [("0-255", 255), ("0-1", 1)])
def test_what_resampling_overshoots_is_cut_off(unit: str, white: float) -> None:
    levels = resampled(grey() / 255 * white)
    assert levels.max() > 1.02 * white
    assert recognise_unit(sample_values(volume(levels))) == unit


@pytest.mark.parametrize(
    ("low", "high", "dtype", "unit"),
    [
        (0, 1, np.float32, "0-1"),
        (0.1, 0.9, np.float64, "0-1"),
        (0, 1, np.uint8, "0-1"),
        (0, 255, np.uint8, "0-255"),
        (3, 180.5, np.float32, "0-255"),
        (0, 256, np.int16, "0-255"),
        (0, 0, np.int16, "0-255"),
        (1, 1, np.float32, "0-255"),
        (-1000, 400, np.int16, "HU"),
        (-1, 1, np.float32, None),
        (0, 3, np.int16, None),
        (0, 300, np.int16, None),
        (0, 4095, np.int16, None),
        (1024, 1024, np.int16, None),
    ],
)
def test_the_unit_is_told_by_the_range(
    low: float, high: float, dtype: type, unit: str | None
) -> None:
    assert recognise_unit(sample_values(ramp(low, high, dtype))) == unit


def test_the_unit_is_that_of_the_values_after_the_slope() -> None:
    scan = ramp(0, 255)
    assert recognise_unit(sample_values(volume(scan.stored.T, slope=1 / 255))) == "0-1"


def test_some_slices_of_a_long_scan_are_enough() -> None:
    scan = ramp(0, 255, num_slices=600)
    scan.stored[..., 300:] = -1000  # the legs, say
    assert recognise_unit(sample_values(scan)) == "HU"


def test_a_value_that_is_not_finite_is_refused() -> None:
    scan = ramp(0, 1)
    scan.stored[0, 0, 0] = np.nan
    with pytest.raises(UserError, match=r"scan\.nii: slice \d+ holds NaN"):
        sample_values(scan)


def test_arbitrary_values_are_not_questioned() -> None:
    assert find_misfit(sample_values(ramp(-7, 9)), "arbitrary") == ""


LABELS = {
    "0/1": lambda: chest() > -500,
    "0/255": lambda: 255 * (chest() > -500),
    "classes": lambda: (chest() > -500).astype(int) + 2 * (chest() > 500),
    "resampled": lambda: resampled(np.pad(np.ones((6, 20, 20)), ((0, 0), (40, 60), (40, 60)))),
}


@pytest.mark.parametrize("draw", LABELS.values(), ids=LABELS)
def test_masks_are_told_from_scans(draw: Callable) -> None:
    assert is_label_map(sample_values(volume(draw().astype(np.float32))))


@pytest.mark.parametrize("draw", [chest, grey, lambda: grey() / 255, lambda: 0 * chest()])
def test_scans_and_blank_ones_are_no_masks(draw: Callable) -> None:
    assert not is_label_map(sample_values(volume(draw())))


def test_many_classes_are_a_label_map_where_that_many_are_expected() -> None:
    lobes = np.arange(40 * 40 * 6).reshape(6, 40, 40) % 20
    values = sample_values(volume(lobes))
    assert not is_label_map(values)
    assert is_label_map(values, 20)
