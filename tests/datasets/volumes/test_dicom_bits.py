"""Stored values that are not what the header says: more bits than it names, an odd rescaling."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_series
from pydicom.dataset import Dataset

from datasets.volumes import find_series, list_files, open_series, search_series
from utils.errors import UserError

VALUES = np.random.default_rng(0).integers(-1000, 1000, (4, 20, 22))


def read(folder: Path) -> np.ndarray:
    (series,) = find_series(folder)
    with open_series(series) as volume:
        return np.array(volume.axial)


def stored(bits: int, signed: bool, offset: int) -> Callable[[int, Dataset], None]:
    """A change that stores HU plus an offset, and says that they have so many bits."""

    def change(index: int, dataset: Dataset) -> None:
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        dataset.PixelRepresentation, dataset.RescaleIntercept = int(signed), -offset
        dataset.PixelData = (VALUES[index] + offset).astype("<i4").astype("<u2").tobytes()

    return change


@pytest.mark.parametrize(
    ("bits", "signed", "offset"),
    [(12, False, 1024), (16, False, 32768), (12, True, 0), (16, True, 0), (15, False, 8192)],
)
def test_what_fits_is_read(tmp_path: Path, bits: int, signed: bool, offset: int) -> None:
    write_series(tmp_path, VALUES, change=stored(bits, signed, offset))
    np.testing.assert_array_equal(read(tmp_path), VALUES)


@pytest.mark.parametrize(
    ("bits", "signed", "offset"), [(12, False, 32768), (12, False, 8192), (10, True, 0)]
)
def test_what_does_not_fit_is_refused(tmp_path: Path, bits: int, signed: bool, offset: int) -> None:
    write_series(tmp_path, VALUES, change=stored(bits, signed, offset))
    with pytest.raises(UserError, match=f"more than the {bits} bits of BitsStored"):
        read(tmp_path)


def test_padding_and_overlays_beyond_are_no_values(tmp_path: Path) -> None:
    def pad(index: int, dataset: Dataset) -> None:
        words = (VALUES[index] + 1024).astype("<u2")
        words[:10] = 0xF830
        dataset.PixelPaddingValue = 0xF830
        dataset.PixelData = words.tobytes()

    write_series(tmp_path / "padded", VALUES, change=pad)
    np.testing.assert_array_equal(read(tmp_path / "padded")[:, 10:], VALUES[:, 10:])

    def draw(index: int, dataset: Dataset) -> None:
        words = (VALUES[index] + 1024).astype("<u2") | 0x1000
        dataset.PixelData = words.tobytes()
        dataset.add_new(0x60000010, "US", 20)

    write_series(tmp_path / "drawn", VALUES, change=draw)
    np.testing.assert_array_equal(read(tmp_path / "drawn"), VALUES)


def test_one_slice_that_is_rescaled_in_another_way_is_told(tmp_path: Path) -> None:
    def rescale(*odd: int) -> Callable[[int, Dataset], None]:
        def change(index: int, dataset: Dataset) -> None:
            dataset.RescaleSlope = 2 if index in odd else 1

        return change

    values = np.tile(VALUES, (3, 1, 1))
    write_series(tmp_path / "one", values, change=rescale(5))
    (note,) = search_series(list_files(tmp_path / "one")).notes
    assert "RescaleSlope 2 and RescaleIntercept -1024, where 11 slices of the series" in note
    assert "IM0005" in note
    write_series(tmp_path / "none", values, change=rescale())
    write_series(tmp_path / "half", values, change=rescale(*range(0, 12, 2)))
    assert search_series(list_files(tmp_path / "none")).notes == []
    assert search_series(list_files(tmp_path / "half")).notes == []
