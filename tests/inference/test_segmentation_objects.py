from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import highdicom as hd
import numpy as np
import pytest
from dicom_files import AXIAL, CORONAL, SAGITTAL, at, write_series
from pydicom import dcmread
from pydicom.dataset import Dataset

from datasets.volumes import find_series, open_series
from inference.segmentation_object import Algorithm, find_patient, write_segmentation
from utils.errors import UserError

SHAPE = (6, 8, 10)  # files, rows, columns
ALGORITHM = Algorithm("network run", "sha256:0123456789abcdef")
TILTED = (1, 0, 0, 0, 0.96, -0.28)


def draw_classes(num_classes: int) -> np.ndarray:
    """Scattered classes as the files have them; the first and the fourth file have none."""
    classes = np.random.default_rng(0).integers(0, num_classes + 1, SHAPE).astype(np.uint8)
    classes[[0, 3]] = 0
    return classes


def write(
    folder: Path, frames: np.ndarray, segments: Mapping[int, str] = MappingProxyType({1: "Lesion"})
) -> str | None:
    (series,) = find_series(folder)
    with open_series(series) as volume:
        axial = volume.view.of(frames.transpose(2, 1, 0))
        return write_segmentation(
            folder / "seg.dcm", volume, axial, segments, ALGORITHM, patient="given"
        )


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL, TILTED])
def test_frames_lie_on_the_images_that_they_refer_to(
    tmp_path: Path, orientation: tuple[int, ...]
) -> None:
    paths = write_series(tmp_path, np.zeros(SHAPE, int), orientation=orientation)
    frames = draw_classes(1)
    assert write(tmp_path, frames) is None
    segmentation = hd.seg.segread(tmp_path / "seg.dcm")
    headers = {dcmread(path).SOPInstanceUID: dcmread(path) for path in paths}
    uids = list(headers)
    assert segmentation.NumberOfFrames == 4  # none of them empty
    found = segmentation.get_pixels_by_source_instance(
        uids, ignore_spatial_locations=True, assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(found[..., 0], frames)
    for item in segmentation.PerFrameFunctionalGroupsSequence:
        reference = item.DerivationImageSequence[0].SourceImageSequence[0]
        position = item.PlanePositionSequence[0].ImagePositionPatient
        header = headers[reference.ReferencedSOPInstanceUID]
        np.testing.assert_allclose(position, header.ImagePositionPatient, atol=1e-3)


def test_every_class_is_a_segment(tmp_path: Path) -> None:
    write_series(tmp_path, np.zeros(SHAPE, int))
    frames = draw_classes(3)
    frames[frames == 2] = 0
    names = {1: "Ground-glass opacity", 2: "Consolidation", 3: "Pleural effusion " * 9}
    assert write(tmp_path, frames, names) is None
    segmentation = hd.seg.segread(tmp_path / "seg.dcm")
    labels = [segment.SegmentLabel for segment in segmentation.SegmentSequence]
    assert labels == ["Ground-glass opacity", names[3][:64]]
    (series,) = find_series(tmp_path)
    found = segmentation.get_pixels_by_source_instance(
        [dcmread(path).SOPInstanceUID for path in series.files],
        ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )
    np.testing.assert_array_equal(found, np.stack([frames == 1, frames == 3], -1))


def test_the_object_names_patient_study_series_and_algorithm(tmp_path: Path) -> None:
    (path, *_) = write_series(tmp_path, np.zeros(SHAPE, int), patient="P1")
    write(tmp_path, draw_classes(1))
    segmentation, source = dcmread(tmp_path / "seg.dcm"), dcmread(path)
    for name in (
        "PatientID",
        "PatientName",
        "StudyInstanceUID",
        "FrameOfReferenceUID",
        "StudyDate",
    ):
        assert segmentation[name].value == source[name].value, name
    assert segmentation.SeriesInstanceUID != source.SeriesInstanceUID
    referenced = segmentation.ReferencedSeriesSequence[0]
    assert referenced.SeriesInstanceUID == source.SeriesInstanceUID
    (segment,) = segmentation.SegmentSequence
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "52988006"
    identification = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert tuple(ALGORITHM) == (identification.AlgorithmName, identification.AlgorithmVersion)
    assert "research only" in segmentation.ContentDescription


def test_a_patient_without_an_id_gets_the_one_that_is_given(tmp_path: Path) -> None:
    for name, change in (("missing", None), ("empty", "")):
        write_series(tmp_path / name, np.zeros(SHAPE, int), change=at(-1, PatientID=change))
        (series,) = find_series(tmp_path / name)
        with open_series(series) as volume:
            assert find_patient(volume, "given") == "given"
            with pytest.raises(UserError, match=r"IM0000: has no PatientID.*--patient-id"):
                find_patient(volume, None)
        write(tmp_path / name, draw_classes(1))
        assert dcmread(tmp_path / name / "seg.dcm").PatientID == "given"


def test_a_series_need_not_be_complete_in_what_says_nothing(tmp_path: Path) -> None:
    gone = dict.fromkeys(("PatientName", "PatientSex", "StudyID", "StudyTime", "AccessionNumber"))
    write_series(tmp_path, np.zeros(SHAPE, int), change=at(-1, **gone))
    assert write(tmp_path, draw_classes(1)) is None
    assert dcmread(tmp_path / "seg.dcm").PatientName == ""


def test_what_cannot_be_referred_to_gets_no_object_and_a_reason(tmp_path: Path) -> None:
    write_series(tmp_path, np.zeros(SHAPE, int), change=at(-1, FrameOfReferenceUID=None))
    assert write(tmp_path, draw_classes(1)) == "no DICOM SEG: the series has no FrameOfReferenceUID"
    assert not (tmp_path / "seg.dcm").exists()


def test_a_mask_without_lesion_gets_no_object(tmp_path: Path) -> None:
    write_series(tmp_path, np.zeros(SHAPE, int))
    assert write(tmp_path, np.zeros(SHAPE, np.uint8)) == "no lesion, so no DICOM SEG"
    assert not (tmp_path / "seg.dcm").exists()


@pytest.mark.parametrize(
    ("charset", "encoding", "name"),
    [
        (["", "ISO 2022 IR 87"], None, "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], None, "Hong^Gildong=洪^吉洞=홍^길동"),
        (["", "ISO 2022 IR 58"], "escaped", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 192", "utf-8", "Müller^Jörg"),
        ("GB18030", "gb18030", "Wang^XiaoDong=王^小东"),
        (["ISO_IR 100", "ISO_IR 101"], "latin-1", "Müller^Jörg"),
        ("ISO_IR 144", "iso8859_5", "Люкceмбypг"),
        ("ISO-IR 100", "latin-1", "Müller^Jörg"),
        ("ISO_IR_100", "latin-1", "Müller^Jörg"),
        ("ISO 2022 IR 100", "latin-1", "Müller^Jörg"),
        ("latin1", "latin-1", "Doe^Jo"),
        (None, "latin-1", "Müller^Jörg"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of the wrong sets, as pydicom writes them
def test_names_in_any_character_set_are_written_as_unicode(
    tmp_path: Path, charset: object, encoding: str | None, name: str
) -> None:
    def spell(index: int, dataset: Dataset) -> None:
        if charset is not None:
            dataset.SpecificCharacterSet = charset
        if encoding is None:
            dataset.PatientName = name
        elif encoding == "escaped":
            value = b"Wang^XiaoDong=\x1b$)A\xcd\xf5^\x1b$)A\xd0\xa1\xb6\xab"
            dataset.add_new("PatientName", "PN", value)
        else:
            dataset.add_new("PatientName", "PN", name.encode(encoding))

    write_series(tmp_path, np.zeros(SHAPE, int), change=spell)
    assert write(tmp_path, draw_classes(1)) is None
    segmentation = dcmread(tmp_path / "seg.dcm")
    assert segmentation.SpecificCharacterSet == "ISO_IR 192"
    assert str(segmentation.PatientName) == name
    assert name.encode() in (tmp_path / "seg.dcm").read_bytes()


def test_a_value_that_cannot_be_read_does_not_matter(tmp_path: Path) -> None:
    japanese = ["", "ISO 2022 IR 87"]
    change = at(-1, SpecificCharacterSet=japanese, PatientWeight="70.125")
    for path in write_series(tmp_path, np.zeros(SHAPE, int), change=change):
        path.write_bytes(path.read_bytes().replace(b"70.125", b"heavy "))
    assert write(tmp_path, draw_classes(1)) is None


def test_slices_with_a_series_each_are_referred_to_by_their_own(tmp_path: Path) -> None:
    def change(index: int, dataset: Dataset) -> None:
        dataset.SeriesInstanceUID = f"1.2.3.{index + 1}"

    paths = write_series(tmp_path, np.zeros(SHAPE, int), change=change)
    assert write(tmp_path, draw_classes(1)) is None
    found = {
        instance.ReferencedSOPInstanceUID: series.SeriesInstanceUID
        for series in dcmread(tmp_path / "seg.dcm").ReferencedSeriesSequence
        for instance in series.ReferencedInstanceSequence
    }
    headers = [dcmread(paths[index]) for index in (1, 2, 4, 5)]  # those with lesion
    assert found == {header.SOPInstanceUID: header.SeriesInstanceUID for header in headers}


def test_slices_in_the_order_of_their_numbers_get_no_object(tmp_path: Path) -> None:
    write_series(tmp_path, np.zeros(SHAPE, int), change=at(-1, ImagePositionPatient=[0, 0, 0]))
    (series,) = find_series(tmp_path, any_modality=True)
    with open_series(series) as volume:
        axial = volume.view.of(draw_classes(1).transpose(2, 1, 0))
        line = write_segmentation(tmp_path / "seg.dcm", volume, axial, {1: "a"}, ALGORITHM, "P")
    assert line == "no DICOM SEG: the series does not say where its slices lie"
    assert not (tmp_path / "seg.dcm").exists()
