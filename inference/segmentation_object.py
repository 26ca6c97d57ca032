"""DICOM segmentation objects (SEG): a mask that refers to the series it was made from.

Source: DICOM PS3.3, A.51 (Segmentation IOD); the segment's codes are of SNOMED CT.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import highdicom as hd
import numpy as np
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from pydicom.charset import decode_element
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from datasets.volumes import DICOM_ERRORS, DicomVolume, read_dicom
from utils.errors import UserError

_MANUFACTURER = "cosupervision"
_SERIES_NUMBER = 1000  # beyond those of the scanner
_UNICODE = "ISO_IR 192"  # UTF-8, which every character set can be written in
_GB2312 = "\x1b$)A"  # the escape of ISO 2022 IR 58, which pydicom leaves in what it decodes
_LONGEST_LABEL = 64  # LO, PS3.5 6.2
_REQUIRED = ("StudyInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID", "SOPClassUID")
# May be empty, but must be there.
_EMPTY = (
    "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime",
)  # fmt: skip


class Algorithm(NamedTuple):
    """What made a mask: name of network and run, and what tells its weights from any other."""

    name: str
    version: str


def write_segmentation(
    path: Path,
    volume: DicomVolume,
    mask: np.ndarray,
    segments: Mapping[int, str],
    algorithm: Algorithm,
    patient: str,
) -> str | None:
    """Write a binary SEG of the slices with lesion.

    An object without a frame says nothing and is not allowed, so there is none without a lesion.

    Args:
        path: The file.
        volume: The series.
        mask: (slices, H, W) uint8 in its axial view, 0 or a class.
        segments: Name of every class beside the background, a segment each.
        algorithm: What made it.
        patient: PatientID where the series has none.

    Returns:
        Why none was written; None where it was.

    Raises:
        OSError: The disk is full or read-only.
    """
    frames = volume.frames_of(mask)
    picked = np.flatnonzero([frame.any() for frame in frames])
    if not len(picked):
        return "no lesion, so no DICOM SEG"
    if volume.series.is_numbered:
        return "no DICOM SEG: the series does not say where its slices lie"
    sources = [_read_source(volume.series.files[index], patient) for index in picked]
    lacking = [name for name in _REQUIRED if not all(source.get(name) for source in sources)]
    if lacking:
        return f"no DICOM SEG: the series has no {' and no '.join(lacking)}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that are copied from the series
            _to_unicode(sources[0])  # the one that patient and study are copied from
            series = {source.SOPInstanceUID: source.SeriesInstanceUID for source in sources}
            for source in sources:
                source.SeriesInstanceUID = sources[0].SeriesInstanceUID
            segmentation = _build(sources, frames[picked], segments, algorithm)
            _refer(segmentation, series)
    except (ValueError, TypeError, AttributeError) as error:
        return f"no DICOM SEG: it cannot refer to this series ({error})"
    segmentation.save_as(path)
    return None


def find_patient(volume: DicomVolume, given: str | None) -> str:
    """Whose scan a series is: its PatientID, else the one that is given.

    Raises:
        UserError: Neither is there.
    """
    patient = volume.series.patient or given
    if not patient:
        raise UserError(
            f"{volume.series.files[0]}: has no PatientID, which its segmentation must name; give "
            "it with --patient-id"
        )
    return patient


def _read_source(path: Path, patient: str) -> Dataset:
    """A file's header, complete enough to be referred to."""
    source = read_dicom(path, with_pixels=False)
    if not source.get("PatientID"):
        source.PatientID = patient
    for name in _EMPTY:
        if name not in source:
            setattr(source, name, "")
    return source


def _to_unicode(source: Dataset) -> None:
    """Decode all text of a header; what cannot be read is left out."""
    charset = source.get("SpecificCharacterSet") or "ISO_IR 6"
    for tag in list(source.keys()):
        try:
            decode_element(source[tag], charset)
        except DICOM_ERRORS:
            del source[tag]
    if _GB2312 in str(source.get("PatientName", "")):
        source.PatientName = str(source.PatientName).replace(_GB2312, "")
    source.SpecificCharacterSet = _UNICODE


def _refer(segmentation: Dataset, series: Mapping[str, str]) -> None:
    """Name the series of every image: those of a stack can have one each, highdicom knows one.

    Args:
        segmentation: The object.
        series: SeriesInstanceUID by SOPInstanceUID.
    """
    instances = segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    items = []
    for uid in dict.fromkeys(series.values()):
        item = Dataset()
        item.SeriesInstanceUID = uid
        item.ReferencedInstanceSequence = [
            one for one in instances if series[one.ReferencedSOPInstanceUID] == uid
        ]
        items.append(item)
    segmentation.ReferencedSeriesSequence = items


def _build(
    sources: list[Dataset], frames: np.ndarray, segments: Mapping[int, str], algorithm: Algorithm
) -> hd.seg.Segmentation:
    """The object of some frames (files, rows, columns)."""
    identification = hd.AlgorithmIdentificationSequence(
        name=algorithm.name,
        version=algorithm.version,
        family=codes.DCM.ArtificialIntelligence,
    )
    present = [value for value in segments if (frames == value).any()]
    descriptions = [
        SegmentDescription(
            segment_number=number,
            segment_label=segments[value][:_LONGEST_LABEL],
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Lesion,
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=identification,
            anatomic_regions=[codes.SCT.Lung],
        )
        for number, value in enumerate(present, 1)
    ]
    numbers = np.zeros(256, np.uint8)
    numbers[present] = np.arange(1, len(present) + 1)
    return hd.seg.Segmentation(
        source_images=sources,
        pixel_array=numbers[frames],
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=hd.UID(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=_MANUFACTURER,
        manufacturer_model_name=algorithm.name,
        software_versions=algorithm.version,
        device_serial_number="0",
        series_description="Lesion segmentation, research only",
        content_label="LESION",
        content_description="Lung lesions, segmented automatically; research only",
    )
