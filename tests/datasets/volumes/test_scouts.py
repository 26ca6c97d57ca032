"""Scouts beside a scan, or within its series, are passed over."""

from pathlib import Path

import numpy as np
import pytest
from dicom_files import AXIAL, CORONAL, SAGITTAL, at, write_series

from datasets.volumes import find_series, list_files, open_series, search_series
from utils.errors import UserError

VALUES = np.random.default_rng(0).integers(-1000, 1000, (6, 6, 7))


def read(series: object) -> np.ndarray:
    """The HU of a series."""
    with open_series(series) as volume:
        return np.array(volume.axial)


LARGE = np.zeros((3, 64, 64), int)


@pytest.mark.parametrize("orientation", [CORONAL, SAGITTAL])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("image_type", [["ORIGINAL", "PRIMARY", "AXIAL"], None])
def test_single_images_along_the_patient_are_passed_over(
    tmp_path: Path, orientation: tuple[int, ...], count: int, image_type: object
) -> None:
    write_series(
        tmp_path / "s", LARGE[:count], orientation=orientation, seed="scout",
        spacing=(1, 0.7, 0.8), change=at(-1, ImageType=image_type),
    )  # fmt: skip
    with pytest.raises(UserError, match=rf"but scout or flat stack \({count}\)"):
        find_series(tmp_path)
    write_series(tmp_path, VALUES)
    search = search_series(list_files(tmp_path))
    (series,) = search.series
    np.testing.assert_array_equal(read(series), VALUES)
    assert "passed over, a scout or too thin for a scan" in search.notes[0]


@pytest.mark.parametrize("word", ["SCOUT", "LOCALIZER", "TOPOGRAM", "SURVIEW"])
def test_images_called_scouts_are_passed_over(tmp_path: Path, word: str) -> None:
    write_series(tmp_path, VALUES)
    write_series(
        tmp_path,
        VALUES[:1],
        seed="s",
        names="S{}".format,
        change=at(-1, ImageType=["A", "B", word]),
    )
    (series,) = find_series(tmp_path)
    np.testing.assert_array_equal(read(series), VALUES)


def test_a_scout_within_the_series_is_passed_over(tmp_path: Path) -> None:
    write_series(tmp_path, VALUES)
    write_series(tmp_path, LARGE[:1], names="S{}".format, orientation=CORONAL)
    write_series(tmp_path, LARGE[:1], names="T{}".format, orientation=SAGITTAL)
    (series,) = find_series(tmp_path)
    np.testing.assert_array_equal(read(series), VALUES)


@pytest.mark.parametrize("orientation", [CORONAL, SAGITTAL, AXIAL])
def test_whole_stacks_and_single_axial_slices_are_scans(
    tmp_path: Path, orientation: tuple[int, ...]
) -> None:
    count = 1 if orientation == AXIAL else 20
    values = np.zeros((count, 64, 64), int)
    write_series(tmp_path, values, orientation=orientation, spacing=(2, 0.7, 0.7))
    (series,) = find_series(tmp_path)
    assert read(series).size == values.size
