"""Which slices are one scan, where series UIDs, places or tags do not say so."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_files import at, write_series
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from datasets.volumes import find_series, list_files, open_series, search_series
from utils.errors import UserError

VALUES = np.random.default_rng(0).integers(-1000, 1000, (6, 6, 7))


def read(series: object) -> np.ndarray:
    """The HU of a series."""
    with open_series(series) as volume:
        return np.array(volume.axial)


def uid_per_slice(seed: str = "", **fields: object) -> Callable[[int, Dataset], None]:
    """A change that gives every slice a series of its own, as anonymisers do, and other fields."""

    def change(index: int, dataset: Dataset) -> None:
        dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["slice", seed, str(index)])
        at(-1, **fields)(index, dataset)

    return change


def write_two(folder: Path, first: dict[str, object], second: dict[str, object]) -> None:
    """Two acquisitions of one series, the second one half a step higher."""
    for number, fields in enumerate((first, second)):
        write_series(
            folder, VALUES + number, change=at(-1, **fields), names=f"A{number}_{{}}".format,
            origin=(-120, -130, 40 + 1.25 * number),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}),
        ({"AcquisitionNumber": None}, {"AcquisitionNumber": 2}),
        ({"AcquisitionTime": "101010"}, {"AcquisitionTime": "101055"}),
        ({"AcquisitionDateTime": "20200101"}, {"AcquisitionDateTime": "20200102"}),
        ({"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}),
        ({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}),
        ({"KVP": 80}, {"KVP": 140}),
        ({"ImageType": ["ORIGINAL", "PRIMARY"]}, {"ImageType": ["DERIVED", "SECONDARY"]}),
    ],
)
def test_interleaved_acquisitions_of_one_series_are_told_apart(
    tmp_path: Path, first: dict[str, object], second: dict[str, object]
) -> None:
    write_two(tmp_path, first, second)
    search = search_series(list_files(tmp_path))
    assert len({series.name for series in search.series}) == 2
    stacks = sorted((read(series) for series in search.series), key=np.sum)
    np.testing.assert_array_equal(stacks, [VALUES, VALUES + 1])
    keyword = next(name for name in second if name != "names")
    (note,) = search.notes
    assert f"2 overlapping stacks of one series are told apart by {keyword}: " in note


def test_acquisitions_that_only_their_numbers_tell_are_told_apart(tmp_path: Path) -> None:
    for start, folder in ((7, "on"), (1, "anew")):
        write_series(tmp_path / folder, VALUES)

        def renumber(index: int, dataset: Dataset, start: int = start) -> None:
            dataset.InstanceNumber = start + index

        write_series(
            tmp_path / folder, VALUES + 1, change=renumber, names="B{}".format,
            origin=(-120, -130, 41.25),
        )  # fmt: skip
        stacks = sorted((read(series) for series in find_series(tmp_path / folder)), key=np.sum)
        np.testing.assert_array_equal(stacks, [VALUES, VALUES + 1])


def test_phases_in_equal_places_are_told_apart(tmp_path: Path) -> None:
    for phase in (1, 2, 3):
        write_series(
            tmp_path, VALUES + phase, names=f"P{phase}_{{}}".format,
            change=at(-1, AcquisitionNumber=phase),
        )  # fmt: skip
    stacks = [read(series) for series in find_series(tmp_path)]
    np.testing.assert_array_equal(stacks, [VALUES + 1, VALUES + 2, VALUES + 3])


def test_acquisitions_upon_each_other_are_one_scan(tmp_path: Path) -> None:
    def step(index: int, dataset: Dataset) -> None:
        dataset.AcquisitionNumber = index // 2
        dataset.AcquisitionTime = f"1010{index:02d}"

    write_series(tmp_path, VALUES, change=step)
    search = search_series(list_files(tmp_path))
    np.testing.assert_array_equal(read(search.series[0]), VALUES)
    assert (len(search.series), search.notes) == (1, [])


def test_a_tag_that_differs_without_order_does_not_part_a_scan(tmp_path: Path) -> None:
    def edit(index: int, dataset: Dataset) -> None:
        if index in (1, 4, 5):
            dataset.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]

    write_series(tmp_path, VALUES, change=edit)
    (series,) = find_series(tmp_path)
    np.testing.assert_array_equal(read(series), VALUES)


def test_a_series_uid_per_slice_is_one_scan(tmp_path: Path) -> None:
    write_series(tmp_path, VALUES, change=uid_per_slice())
    search = search_series(list_files(tmp_path))
    (series,) = search.series
    np.testing.assert_array_equal(read(series), VALUES)
    assert search.notes == [
        f"{tmp_path}: 2 Thorax 1.0 B70f: 6 slices with a SeriesInstanceUID each are read as one "
        "series"
    ]


def test_a_series_uid_per_slice_with_a_missing_slice_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path, VALUES, change=uid_per_slice())[2].unlink()
    (series,) = find_series(tmp_path)
    with pytest.raises(UserError, match="slices are missing"), open_series(series):
        pass


@pytest.mark.parametrize(
    "fields",
    [
        {"StudyInstanceUID": "1.2.3"}, {"PatientID": "P2"}, {"SeriesNumber": 3},
        {"SeriesDescription": "Mediastinum"}, {"PixelSpacing": [0.9, 0.9]},
        {"ImageOrientationPatient": [-1, 0, 0, 0, -1, 0]},
    ],
)  # fmt: skip
def test_series_uids_per_slice_of_two_scans_stay_two(
    tmp_path: Path, fields: dict[str, object]
) -> None:
    write_series(tmp_path, VALUES, change=uid_per_slice("a"))
    write_series(tmp_path, VALUES, names="B{}".format, change=uid_per_slice("b", **fields))
    assert [len(series.files) for series in find_series(tmp_path)] == [6, 6]


def test_two_acquisitions_with_a_series_uid_per_slice_are_two_scans(tmp_path: Path) -> None:
    for number in (1, 2):
        write_series(
            tmp_path, VALUES + number, names=f"A{number}_{{}}".format,
            change=uid_per_slice(str(number), AcquisitionNumber=number),
        )  # fmt: skip
    stacks = [read(series) for series in find_series(tmp_path)]
    np.testing.assert_array_equal(stacks, [VALUES + 1, VALUES + 2])


def test_single_slices_in_one_place_are_not_joined(tmp_path: Path) -> None:
    def same(index: int, dataset: Dataset) -> None:
        uid_per_slice()(index, dataset)
        dataset.ImagePositionPatient = [0, 0, 10 * (index // 2)]

    write_series(tmp_path, VALUES[:4], change=same)
    assert [len(series.files) for series in find_series(tmp_path)] == [1, 1, 1, 1]
