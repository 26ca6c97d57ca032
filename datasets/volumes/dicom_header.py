"""What the header of a DICOM file says of a slice, and whether the slice can be used."""

import re
import warnings
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, SecondaryCaptureImageStorage

from datasets.volumes.dicom_file import DICOM_ERRORS, is_dicom, read_dicom
from utils.errors import UserError

_MODALITIES = ("CT", "OT")  # OT: CT as some teaching collections export it
# Of RescaleType, in capitals, letters and digits alone; US is unspecified, and CT is in HU
# where nothing is said. Source: DICOM PS3.3, C.11.1.1.2 and C.8.2.1.1.4.
_HOUNSFIELD = ("", "HU", "US", "HOUNSFIELD", "HOUNSFIELDUNIT", "HOUNSFIELDUNITS")
# Objects with pixels that no converter could have made of CT by mistake.
_NO_SCANS = ("KO", "PR", "REG", "RTDOSE", "RTIMAGE", "RTPLAN", "RTSTRUCT", "SEG", "SR")
# Of ImageType, as vendors call the radiograph on which a scan is planned.
_SCOUTS = frozenset(("LOCALIZER", "LOCALISER", "SCANOGRAM", "SCOUT", "SURVIEW", "TOPOGRAM", "TOPO"))
# What a user can do where places are lost.
BY_NUMBER = "read the slices by InstanceNumber with --modality any"
# What acquisitions, phases or reconstructions under one series UID can differ in, surest first.
MARKS = (
    "AcquisitionNumber", "TemporalPositionIdentifier", "TemporalPositionIndex",
    "NominalPercentageOfCardiacPhase", "TriggerTime", "ConvolutionKernel", "KVP", "ImageType",
    "AcquisitionUID", "SeriesDescription", "SeriesNumber", "SeriesTime", "AcquisitionDateTime",
    "AcquisitionTime",
)  # fmt: skip
_MARK_TAGS = tuple(Tag(keyword) for keyword in MARKS)
_TAGS = sorted({
    "Columns", "ImageOrientationPatient", "ImagePositionPatient", "ImageType", "InstanceNumber",
    "Modality", "NumberOfFrames", "PatientID", "PhotometricInterpretation", "PixelRepresentation",
    "PixelSpacing", "RescaleIntercept", "RescaleSlope", "RescaleType", "Rows", "SOPClassUID",
    "SamplesPerPixel", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "SliceThickness",
    "SpacingBetweenSlices", "StudyInstanceUID", *MARKS,
})  # fmt: skip


class SliceHeader(NamedTuple):
    """A CT image in one file.

    Attributes:
        path: The file.
        study: StudyInstanceUID, empty where it is missing.
        series: SeriesInstanceUID.
        number: InstanceNumber; None where it is missing.
        marks: What MARKS hold, empty where they are missing.
        title: SeriesNumber and SeriesDescription, as far as they are there.
        patient: PatientID; None where it is missing or empty.
        size: Rows and columns, px.
        position: (3,) centre of the first px, mm (LPS+); NaN where it is missing.
        axes: (2, 3) directions along a row and along a column, of length 1 (LPS+); NaN as above.
        spacing: Distance of rows and of columns, mm.
        distance: Of slices, mm, as the header has it; None where it does not.
        slope: From stored values to HU.
        intercept: From stored values to HU.
        problem: Why the slice cannot be used; None where it can, and only then are all of the
            above sound.
    """

    path: Path
    study: str
    series: str
    number: int | None
    marks: tuple[str, ...]
    title: str
    patient: str | None
    size: tuple[int, int]
    position: np.ndarray
    axes: np.ndarray
    spacing: tuple[float, float]
    distance: float | None
    slope: float
    intercept: float
    problem: str | None


class OtherObject(NamedTuple):
    """What is no slice of a CT scan: a word or two, and whether it may be one that is tagged wrong.

    Attributes:
        kind: Such as the modality.
        is_image: Whether it is an image of another modality.
    """

    kind: str
    is_image: bool = False


def read_header(path: Path, *, any_modality: bool = False) -> SliceHeader | OtherObject:
    """The header of a CT image; for anything else, what it is.

    Args:
        path: Any file.
        any_modality: Take images of every modality for CT, and do without their place in space.

    Raises:
        UserError: A DICOM file that cannot be read.
    """
    if not is_dicom(path):
        return OtherObject("not DICOM")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # irregular values that nothing here depends on
            dataset = read_dicom(path, _TAGS, with_pixels=False)
            return _name_other(dataset, any_modality) or _describe(path, dataset, any_modality)
    except DICOM_ERRORS as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: damaged DICOM header ({reason}); export it again") from error


def _name_other(dataset: Dataset, any_modality: bool) -> OtherObject | None:
    """What an object is that is no slice of a CT scan; None for one that is."""
    named = dataset.file_meta.get("MediaStorageSOPClassUID") or dataset.get("SOPClassUID")
    storage = UID(named or "")
    modality = str(dataset.get("Modality") or "")
    is_image = "Rows" in dataset and modality not in _NO_SCANS
    is_ct = "CT Image" in storage.name or (modality in _MODALITIES and "Rows" in dataset)
    if not is_ct and not (any_modality and is_image):
        kind = storage.name if modality in ("", *_MODALITIES) else modality
        # Without either the file was cut off, which shows where it is described.
        return OtherObject(kind, is_image) if kind else None
    image_type = dataset.get("ImageType") or ()
    words = [image_type] if isinstance(image_type, str) else image_type
    if not _SCOUTS.isdisjoint(str(word).strip().upper() for word in words):
        return OtherObject("localizer")
    # Dose reports and screenshots; teaching collections keep scans as such, with a position.
    if storage == SecondaryCaptureImageStorage and "ImagePositionPatient" not in dataset:
        is_scan = any_modality and "PixelSpacing" in dataset
        return None if is_scan else OtherObject("screenshot", "PixelSpacing" in dataset)
    return None


def _mark(dataset: Dataset, tag: BaseTag) -> str:
    """A value as it is stored, to be compared alone: to interpret it takes longer."""
    if tag not in dataset:
        return ""
    value = dataset.get_item(tag).value
    if isinstance(value, bytes):
        return value.decode("ascii", "replace").strip(" \0")
    parts = [value] if isinstance(value, str) else np.ravel(value)
    return "\\".join(str(part) for part in parts if part is not None)


def _describe(path: Path, dataset: Dataset, any_modality: bool) -> SliceHeader:
    """A CT image in the terms of this project."""
    rescale = "RescaleSlope", "RescaleIntercept"
    # Other modalities have no rescaling; what is not signed can hold no HU without.
    if (
        any_modality
        and dataset.get("PixelRepresentation")
        and not any(map(dataset.__contains__, rescale))
    ):
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    for keyword in ("SeriesInstanceUID", "Rows", "Columns"):
        if not dataset.get(keyword):
            raise ValueError(f"no {keyword}")
    between, thickness = dataset.get("SpacingBetweenSlices"), dataset.get("SliceThickness")
    title = [dataset.get("SeriesNumber"), dataset.get("SeriesDescription")]
    axes = np.reshape(_numbers(dataset, "ImageOrientationPatient", 6), (2, 3))
    return SliceHeader(
        path=path,
        study=str(dataset.get("StudyInstanceUID") or ""),
        series=str(dataset.SeriesInstanceUID),
        number=None if dataset.get("InstanceNumber") is None else int(dataset.InstanceNumber),
        marks=tuple(_mark(dataset, tag) for tag in _MARK_TAGS),
        title=" ".join(str(part) for part in title if part not in (None, "")),
        patient=str(dataset.get("PatientID") or "").strip() or None,
        size=(int(dataset.Rows), int(dataset.Columns)),
        position=_numbers(dataset, "ImagePositionPatient", 3),
        axes=axes / np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1e-6),
        spacing=tuple(float(side) for side in _numbers(dataset, "PixelSpacing", 2)),
        distance=abs(float(between or thickness or 0)) or None,
        slope=float(_numbers(dataset, "RescaleSlope", 1)[0]),
        intercept=float(_numbers(dataset, "RescaleIntercept", 1)[0]),
        problem=_find_problem(dataset, axes, any_modality),
    )


def _numbers(dataset: Dataset, keyword: str, count: int) -> np.ndarray:
    """(count,) float64; NaN where they are missing, or not that many."""
    values = np.array(dataset.get(keyword), dtype=float, ndmin=1)
    return values if values.shape == (count,) else np.full(count, np.nan)


def _find_problem(dataset: Dataset, axes: np.ndarray, any_modality: bool) -> str | None:
    """What keeps a slice from being used, and what to do about it."""
    if (frames := int(dataset.get("NumberOfFrames") or 1)) > 1:
        return f"holds {frames} frames (enhanced CT); export it as one file per slice"
    colours = dataset.get("SamplesPerPixel", 1), dataset.get("PhotometricInterpretation")
    if colours != (1, "MONOCHROME2"):
        return f"is {colours[1]}, not MONOCHROME2 as CT is; export the original series"
    if unit := _other_unit(dataset):
        return f"has the RescaleType {unit}, which is no Hounsfield units; leave its series out"
    for keyword, count in (("PixelSpacing", 2), ("RescaleSlope", 1), ("RescaleIntercept", 1)):
        if not np.isfinite(_numbers(dataset, keyword, count)).all():
            return f"has no {keyword}; export the original series"
    if min(_numbers(dataset, "PixelSpacing", 2)) <= 0 or dataset.RescaleSlope == 0:
        return "has a PixelSpacing or RescaleSlope of 0; export the original series"
    problem = None if any_modality else _find_misplacement(dataset, axes)
    return problem or _lack_of_decoder(dataset.file_meta.get("TransferSyntaxUID", UID("")))


def _find_misplacement(dataset: Dataset, axes: np.ndarray) -> str | None:
    """Why nobody knows where a slice lies."""
    for keyword, count in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6)):
        if not np.isfinite(_numbers(dataset, keyword, count)).all():
            return f"has no {keyword}; export the original series, or {BY_NUMBER}"
    # Degrees of a tenth at the most: directions are written with six digits.
    if abs(axes @ axes.T - np.eye(2)).max() > 1e-3:
        return f"has an ImageOrientationPatient of no right angle {axes.ravel().tolist()}"
    return None


def _other_unit(dataset: Dataset) -> str:
    """What values are that are no HU, such as MGML of an iodine map; '' where they may be HU."""
    unit = str(dataset.get("RescaleType") or "").strip(" \0")
    return "" if re.sub(r"[^A-Z0-9]", "", unit.upper()) in _HOUNSFIELD else unit


@lru_cache
def _lack_of_decoder(syntax: UID) -> str | None:
    """Why pixels in a transfer syntax cannot be decoded here."""
    if not syntax:
        return "names no transfer syntax; export the original series"
    try:
        if get_decoder(syntax).is_available:
            return None
    except NotImplementedError:
        return f"is compressed as {syntax.name}, which nothing decodes; export it uncompressed"
    return (
        f"is compressed as {syntax.name}, for which a decoder is missing; "
        "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg, or export it uncompressed"
    )
