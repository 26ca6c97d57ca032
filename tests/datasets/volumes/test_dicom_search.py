"""What is found in a folder of DICOM files, and what is passed over."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_files import at, write_series
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    RawDataStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from datasets.volumes import find_series, open_series
from utils.errors import UserError

VALUES = np.zeros((5, 6, 7), int)


def test_two_series_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    first, second = VALUES, np.ones((3, 8, 9), int)
    write_series(tmp_path, first, seed="a", names="a{}".format)
    write_series(tmp_path / "deeper", second, seed="b", number=3, description="Lung/öffnen: 5,0")
    assert [series.name for series in find_series(tmp_path)] == [
        "series_2_Thorax_1_0_B70f", "series_3_Lung_offnen_5_0",
    ]  # fmt: skip
    for series, values in zip(find_series(tmp_path), (first, second), strict=True):
        with open_series(series) as volume:
            np.testing.assert_array_equal(volume.axial, values)


def test_series_of_equal_titles_have_names_of_their_own(tmp_path: Path) -> None:
    for seed, title in (("a", "Thorax"), ("b", "THORAX"), ("c", "thorax")):
        write_series(tmp_path / seed, VALUES, seed=seed, description=title)
    names = [series.name.lower() for series in find_series(tmp_path)]
    assert len(set(names)) == 3
    assert [series.name.lower() for series in find_series(tmp_path)] == names
    assert all(name.startswith("series_2_thorax_") for name in names)


def test_a_series_without_number_and_description_has_a_name(tmp_path: Path) -> None:
    write_series(tmp_path, VALUES, change=at(-1, SeriesNumber=None, SeriesDescription=None))
    (series,) = find_series(tmp_path)
    assert series.name == "series"


@pytest.mark.parametrize("patient", [None, "", "  "])
def test_a_series_of_nobody_has_no_patient(tmp_path: Path, patient: str | None) -> None:
    write_series(tmp_path, VALUES, patient=patient)
    (series,) = find_series(tmp_path)
    assert series.patient is None
    with open_series(series) as volume:
        assert len(volume) == 5


def storage(uid: str, **fields: object) -> Callable[[int, Dataset], None]:
    """Make another kind of object of every slice."""

    def change(index: int, dataset: Dataset) -> None:
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = uid
        at(-1, **fields)(index, dataset)

    return change


_OTHERS = {
    "SR": storage(ComprehensiveSRStorage, Modality="SR", Rows=None, PixelData=None),
    "SEG": storage(SegmentationStorage, Modality="SEG"),
    "MR": storage(MRImageStorage, Modality="MR"),
    "localizer": at(-1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    "screenshot": storage(SecondaryCaptureImageStorage, ImagePositionPatient=None),
    "Raw Data Storage": storage(RawDataStorage, Rows=None, PixelData=None),
    "Media Storage Directory Storage": storage(
        MediaStorageDirectoryStorage, Modality=None, Rows=None, PixelData=None
    ),
}


@pytest.mark.parametrize("kind", _OTHERS)
def test_what_is_no_ct_slice_is_passed_over_and_listed_where_there_is_nothing_else(
    tmp_path: Path, kind: str
) -> None:
    write_series(tmp_path / "other", VALUES[:2], change=_OTHERS[kind])
    (tmp_path / "README.dcm").write_text("not DICOM in spite of its name")
    with pytest.raises(UserError) as caught:
        find_series(tmp_path)
    assert f"{tmp_path}: holds no CT series in DICOM files, but " in str(caught.value)
    assert f"{kind} (2)" in str(caught.value)
    assert "not DICOM (1)" in str(caught.value)
    write_series(tmp_path, VALUES)
    (series,) = find_series(tmp_path)
    assert series.problem is None
    assert len(series.files) == 5


def test_an_empty_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="but no file at all"):
        find_series(tmp_path)
    with pytest.raises(UserError, match="none: no such folder"):
        find_series(tmp_path / "none")


def test_a_single_file_is_a_series_of_one_slice(tmp_path: Path) -> None:
    paths = write_series(tmp_path, VALUES)
    (series,) = find_series(paths[2])
    assert (series.files, series.folder) == ((paths[2],), tmp_path)
