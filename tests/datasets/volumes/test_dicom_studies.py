"""Slices with a study and a series of their own each, as anonymisers write them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_files import at, write_series
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from datasets.volumes import find_series, list_files, open_series, search_series

VALUES = np.random.default_rng(0).integers(-1000, 1000, (6, 6, 7))


def study_per_slice(seed: str = "", **fields: object) -> Callable[[int, Dataset], None]:
    """A change that gives every slice a study and a series of its own, and other fields."""

    def change(index: int, dataset: Dataset) -> None:
        for kind in ("Study", "Series"):
            uid = generate_uid(entropy_srcs=[kind, seed, str(index)])
            setattr(dataset, f"{kind}InstanceUID", uid)
        at(-1, **fields)(index, dataset)

    return change


def test_a_study_uid_per_slice_is_one_scan(tmp_path: Path) -> None:
    write_series(tmp_path, VALUES, change=study_per_slice())
    search = search_series(list_files(tmp_path))
    (series,) = search.series
    with open_series(series) as volume:
        np.testing.assert_array_equal(volume.axial, VALUES)
    (note,) = search.notes
    assert note.endswith(
        "6 slices with a StudyInstanceUID and SeriesInstanceUID each are read as one series"
    )


@pytest.mark.parametrize("fields", [{"PatientID": "P2"}, {"SeriesDescription": "Mediastinum"}])
def test_study_uids_per_slice_of_two_scans_stay_two(
    tmp_path: Path, fields: dict[str, object]
) -> None:
    write_series(tmp_path, VALUES, change=study_per_slice("a"))
    write_series(tmp_path, VALUES, names="B{}".format, change=study_per_slice("b", **fields))
    assert [len(series.files) for series in find_series(tmp_path)] == [6, 6]


@pytest.mark.parametrize("missing", [2, None])
def test_single_slices_of_several_studies_are_not_joined(
    tmp_path: Path, missing: int | None
) -> None:
    """Neither where they do not lie one step apart, nor two of them, which always do."""
    paths = write_series(tmp_path, VALUES, change=study_per_slice())
    for path in paths[2:] if missing is None else [paths[missing]]:
        path.unlink()
    num_left = 2 if missing is None else 5
    assert [len(series.files) for series in find_series(tmp_path)] == [1] * num_left
