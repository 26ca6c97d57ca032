"""DICOM files without a preamble, and series whose slices have lost their places."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import CORONAL, at, write_series
from pydicom.dataset import Dataset

from datasets.volumes import find_series, open_series
from utils.errors import UserError

VALUES = np.random.default_rng(0).integers(-1000, 1000, (6, 6, 7))


def read(series: object) -> np.ndarray:
    """The HU of a series."""
    with open_series(series) as volume:
        return np.array(volume.axial)


def bare(path: Path, *, implicit: bool = True, big: bool = False, syntax: bool = False) -> None:
    """Take preamble and meta information from a file; with `syntax` the latter alone."""
    dataset = pydicom.dcmread(path)
    values = dataset.pixel_array.astype(">u2" if big else "<u2")
    plain = Dataset()
    plain.update({element.tag: element for element in dataset})
    plain.PixelData = values.tobytes()
    plain.set_original_encoding(implicit, not big)
    preamble = bytes(128) + b"DICM" if syntax else b""
    buffer = pydicom.filebase.DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = not big, implicit
    pydicom.filewriter.write_dataset(buffer, plain)
    path.write_bytes(preamble + buffer.getvalue())


@pytest.mark.parametrize(
    "kind",
    [{}, {"implicit": False}, {"implicit": False, "big": True}, {"syntax": True}],
    ids=["implicit", "explicit", "big endian", "preamble alone"],
)
def test_a_data_set_without_preamble_is_read(tmp_path: Path, kind: dict[str, bool]) -> None:
    for path in write_series(tmp_path, VALUES):
        bare(path, **kind)
    (series,) = find_series(tmp_path)
    np.testing.assert_array_equal(read(series), VALUES)


def test_a_cut_data_set_without_preamble_is_refused(tmp_path: Path) -> None:
    paths = write_series(tmp_path, VALUES)
    for path in paths:
        bare(path)
    paths[2].write_bytes(paths[2].read_bytes()[:-30])
    (series,) = find_series(tmp_path)
    with pytest.raises(UserError, match="IM0002: cannot be decoded"), open_series(series):
        pass


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    for folder in (".", ".Trashes", "a/.b/c"):
        write_series(tmp_path / folder, VALUES)
    (tmp_path / "._IM0000").write_bytes(b"resource fork")
    (series,) = find_series(tmp_path)
    np.testing.assert_array_equal(read(series), VALUES)


_LOST = {"ImageOrientationPatient": None, "ImagePositionPatient": None}


def lose(**fields: object) -> Callable[[int, Dataset], None]:
    """Tag slices as Nuclear Medicine without a place, their values signed and not rescaled."""

    def change(index: int, dataset: Dataset) -> None:
        dataset.Modality = "NM"
        dataset.SOPClassUID = pydicom.uid.NuclearMedicineImageStorage
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 15, 1
        dataset.PixelData = VALUES[index].astype("<i2").tobytes()
        del dataset.RescaleSlope, dataset.RescaleIntercept
        at(-1, **_LOST, **fields)(index, dataset)

    return change


def test_ct_tagged_as_another_modality_is_read_by_number_where_that_is_asked_for(
    tmp_path: Path,
) -> None:
    order = [3, 0, 5, 1, 4, 2]
    write_series(tmp_path, VALUES, change=lose(), names=lambda index: f"{order[index]}.dcm")
    with pytest.raises(UserError, match=r"but NM \(6\).*--modality any"):
        find_series(tmp_path)
    (series,) = find_series(tmp_path, any_modality=True)
    np.testing.assert_array_equal(read(series), VALUES)
    with open_series(series) as volume:
        assert volume.spacing == (2.5, 0.7, 0.8)
    assert "slices lie in the order of InstanceNumber" in series.note
    assert "2.5 mm apart" in series.note


@pytest.mark.parametrize(
    ("place", "fields", "line"),
    [
        (3, {"InstanceNumber": None}, "has no InstanceNumber"),
        (3, {"InstanceNumber": 3}, "is slice 3 after 3"),
        (5, {"InstanceNumber": 9}, "is slice 9 after 5"),
        (-1, {"SliceThickness": None}, "names no distance of slices"),
        (3, {"SliceThickness": 5}, "names no distance of slices"),
        (3, {"PixelSpacing": None}, "has no PixelSpacing"),
    ],
)
def test_numbers_that_do_not_give_an_order_are_refused(
    tmp_path: Path, place: int, fields: dict[str, object], line: str
) -> None:
    def change(index: int, dataset: Dataset) -> None:
        lose()(index, dataset)
        at(place, **fields)(index, dataset)

    write_series(tmp_path, VALUES, change=change)
    (series,) = find_series(tmp_path, any_modality=True)
    with pytest.raises(UserError, match=line), open_series(series):
        pass


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"ImagePositionPatient": [0, 0, 0]},
            r"all 6 slices .* one ImagePositionPatient \(0, 0, 0",
        ),
        ({"ImagePositionPatient": None}, "has no ImagePositionPatient"),
        ({"ImageOrientationPatient": None}, "has no ImageOrientationPatient"),
    ],
)
def test_slices_without_a_place_name_the_option_that_reads_them(
    tmp_path: Path, fields: dict[str, object], line: str
) -> None:
    write_series(tmp_path, VALUES, change=at(-1, **fields))
    (series,) = find_series(tmp_path)
    with pytest.raises(UserError, match=rf"{line}.*--modality any"), open_series(series):
        pass
    (series,) = find_series(tmp_path, any_modality=True)
    np.testing.assert_array_equal(read(series), VALUES)


def test_any_modality_leaves_sound_series_and_other_objects_as_they_are(tmp_path: Path) -> None:
    write_series(tmp_path, VALUES, orientation=CORONAL)
    write_series(tmp_path / "seg", VALUES[:1], seed="b", change=at(-1, Modality="RTDOSE",
                 SOPClassUID=pydicom.uid.RTDoseStorage))  # fmt: skip
    path = tmp_path / "seg" / "IM0000"
    dataset = pydicom.dcmread(path)
    dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.RTDoseStorage
    dataset.save_as(path)
    (plain,), (given,) = find_series(tmp_path), find_series(tmp_path, any_modality=True)
    assert not given.is_numbered
    np.testing.assert_array_equal(read(given), read(plain))
