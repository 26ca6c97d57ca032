"""DICOM folders that cannot be used: one line that names the file and says why."""

import resource
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import CORONAL, at, write_series
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import EnhancedCTImageStorage, JPEG2000Lossless, JPEGLosslessSV1

from datasets.volumes import find_series, open_series
from utils.errors import UserError

VALUES = np.zeros((5, 6, 7), int)


def refuse(folder: Path) -> str:
    """The line about a folder whose only series must be refused, once it is opened."""
    (series,) = find_series(folder)
    with pytest.raises(UserError) as caught, open_series(series):
        pass
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_a_missing_slice_is_refused_between_its_neighbours(tmp_path: Path) -> None:
    paths = write_series(tmp_path, VALUES)
    paths[2].unlink()
    line = refuse(tmp_path)
    assert f"{paths[3]}: lies 5.00 mm from {paths[1]} (47.50 and 42.50 mm)" in line
    assert "2.50 mm apart; slices are missing" in line


def test_a_missing_slice_of_four_is_refused(tmp_path: Path) -> None:
    paths = write_series(tmp_path, VALUES[:4])
    paths[2].unlink()
    assert f"{paths[3]}: lies 5.00 mm from {paths[1]}" in refuse(tmp_path)


def test_a_slice_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    paths = write_series(tmp_path, VALUES)
    copy = tmp_path / "later" / "IM0003"
    copy.parent.mkdir()
    copy.write_bytes(paths[3].read_bytes())
    assert f"{copy}: lies where {paths[3]} does (47.50 mm); keep one copy" in refuse(tmp_path)


def test_steps_that_drift_are_refused(tmp_path: Path) -> None:
    def drift(index: int, dataset: Dataset) -> None:
        dataset.ImagePositionPatient[2] = index + 0.1 * max(0, index - 20)

    write_series(tmp_path, np.zeros((40, 2, 3), int), change=drift)
    assert "IM0020: lies 0.97 mm beside the line" in refuse(tmp_path)


def test_a_slice_shifted_sideways_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path, VALUES, change=at(2, ImagePositionPatient=[-119, -130, 45]))
    assert "IM0002: lies 1.00 mm beside the line" in refuse(tmp_path)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"ImageOrientationPatient": list(CORONAL)}, "orientation"),
        ({"ImageOrientationPatient": [1, 0.002, 0, -0.002, 1, 0]}, "orientation"),
        ({"PixelSpacing": [0.7, 0.9]}, "spacing"),
        ({"PatientID": "P2"}, "patient"),
        ({"Rows": 3, "Columns": 14}, "size"),
    ],
)
@pytest.mark.parametrize("place", [0, 3])
def test_the_slice_that_differs_from_the_others_is_named(
    tmp_path: Path, fields: dict[str, object], what: str, place: int
) -> None:
    paths = write_series(tmp_path, VALUES, change=at(place, **fields))
    line = refuse(tmp_path)
    assert line.startswith(f"{paths[place]}: differs in {what} from ")
    assert "of the same series; keep the slices of one scan" in line


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ImagePositionPatient": None}, "has no ImagePositionPatient"),
        ({"ImageOrientationPatient": None}, "has no ImageOrientationPatient"),
        ({"PixelSpacing": None}, "has no PixelSpacing"),
        ({"PixelSpacing": [0, 0.7]}, "PixelSpacing or RescaleSlope of 0"),
        ({"RescaleSlope": None}, "has no RescaleSlope"),
        ({"RescaleSlope": 0}, "PixelSpacing or RescaleSlope of 0"),
        ({"RescaleIntercept": None}, "has no RescaleIntercept"),
        ({"RescaleType": "MGML"}, "the RescaleType MGML, which is no Hounsfield units; leave"),
        ({"RescaleType": "Z_EFF"}, "the RescaleType Z_EFF"),
        ({"RescaleType": "HU_MOD"}, "the RescaleType HU_MOD"),
        ({"RescaleType": "100HU"}, "the RescaleType 100HU"),
        ({"ImageOrientationPatient": [1, 0, 0, 0.5, 0.8, 0]}, "of no right angle"),
        ({"ImageOrientationPatient": [0, 0, 0, 0, 1, 0]}, "of no right angle"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "is MONOCHROME1, not MONOCHROME2"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "is RGB, not MONOCHROME2"),
        ({"NumberOfFrames": 5, "SOPClassUID": EnhancedCTImageStorage}, r"5 frames \(enhanced CT\)"),
    ],
)
def test_a_slice_that_cannot_be_used_is_named(
    tmp_path: Path, fields: dict[str, object], reason: str
) -> None:
    write_series(tmp_path, VALUES, change=at(3, **fields))
    with pytest.raises(UserError, match=rf"IM0003: .*{reason}"):
        raise UserError(refuse(tmp_path))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (at(3, PixelData=None), "cannot be decoded"),
        (at(3, PixelData=bytes(10)), "cannot be decoded"),
        (at(3, PixelData=bytes(200)), "holds an image of (2, 6, 7), not (6, 7)"),
        (at(3, BitsAllocated=8, BitsStored=8, HighBit=7), "holds an image of (2, 6, 7)"),
        (at(3, PixelRepresentation=None), "cannot be decoded"),
    ],
)
def test_pixels_that_cannot_be_decoded_are_named(
    tmp_path: Path, change: Callable[[int, Dataset], None], reason: str
) -> None:
    paths = write_series(tmp_path, VALUES, change=change)
    assert refuse(tmp_path).startswith(f"{paths[3]}: {reason}")


@pytest.mark.parametrize("lost", [1, 40, 84])
def test_truncated_pixels_are_named(tmp_path: Path, lost: int) -> None:
    paths = write_series(tmp_path, VALUES)
    paths[3].write_bytes(paths[3].read_bytes()[:-lost])
    assert refuse(tmp_path).startswith(f"{paths[3]}: cannot be decoded")


def test_a_file_cut_off_in_its_header_spoils_the_series_of_its_folder_alone(
    tmp_path: Path,
) -> None:
    paths = write_series(tmp_path / "a", VALUES, seed="a")
    write_series(tmp_path / "b", VALUES, seed="b")
    paths[4].write_bytes(paths[4].read_bytes()[:600])
    first, second = sorted(find_series(tmp_path), key=lambda series: series.folder)
    assert first.problem is not None
    assert first.problem.startswith(f"{paths[4]}: damaged DICOM header")
    assert len(first.files) == 4
    with open_series(second) as volume:
        assert len(volume) == 5


def test_a_damaged_file_in_a_folder_of_its_own_stands_for_a_series(tmp_path: Path) -> None:
    write_series(tmp_path / "a", VALUES)
    (path,) = write_series(tmp_path / "b", VALUES[:1], seed="b")
    path.write_bytes(path.read_bytes()[:600])
    damaged = next(series for series in find_series(tmp_path) if series.problem)
    assert (damaged.files, damaged.name, damaged.patient) == ((path,), "series_IM0000", None)


@pytest.mark.parametrize("length", [160, 250, 333, 400, 500, 700, 900])
@pytest.mark.parametrize("place", [2, 4])
def test_no_cut_makes_a_slice_vanish_in_silence(tmp_path: Path, length: int, place: int) -> None:
    paths = write_series(tmp_path, VALUES)
    paths[place].write_bytes(paths[place].read_bytes()[:length])
    assert refuse(tmp_path).startswith(f"{paths[place]}: ")


def compress(path: Path, syntax: str) -> None:
    """Say that a file is compressed, around bytes that are not."""
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([b"no image"])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)


def test_a_transfer_syntax_without_decoder_is_named(tmp_path: Path) -> None:
    paths = write_series(tmp_path, VALUES)
    compress(paths[1], JPEGLosslessSV1)
    line = refuse(tmp_path)
    assert line.startswith(f"{paths[1]}: is compressed as JPEG Lossless, Non-Hierarchical")
    assert "a decoder is missing; pip install pylibjpeg pylibjpeg-libjpeg" in line


def test_a_transfer_syntax_of_films_is_named(tmp_path: Path) -> None:
    paths = write_series(tmp_path, VALUES)
    compress(paths[1], "1.2.840.10008.1.2.4.100")
    assert "compressed as MPEG2 Main Profile / Main Level, which nothing decodes" in refuse(
        tmp_path
    )


def test_damaged_compressed_pixels_are_named(tmp_path: Path) -> None:
    paths = write_series(tmp_path, VALUES)
    compress(paths[1], JPEG2000Lossless)
    assert refuse(tmp_path).startswith(f"{paths[1]}: cannot be decoded")


def test_no_room_to_decode_is_one_line(tmp_path: Path) -> None:
    write_series(tmp_path, np.zeros((5, 40, 40), int))
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, former[1]))
    try:
        line = refuse(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert line.startswith(f"{tmp_path}: cannot be unpacked to {tempfile.gettempdir()}")


def test_a_header_that_promises_more_than_the_disk_holds_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path, np.zeros((50, 2, 2), int), change=at(-1, Rows=65535, Columns=65535))
    assert "takes 858,967,245,000 bytes of temporary files" in refuse(tmp_path)


def test_an_element_that_claims_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    path = write_series(tmp_path, VALUES[:1])[0]
    data = path.read_bytes()
    title = data.index(b"LO\x10\x00Thorax")
    huge = b"UT\0\0" + (0x7FFFFFFE).to_bytes(4, "little")
    path.write_bytes(data[:title] + huge + data[title + 4 :])
    tracemalloc.start()
    try:
        assert "damaged DICOM header" in refuse(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
