"""What the header of a DICOM file says of a slice, and whether the slice can be used."""

import re
import struct
import warnings
import zlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels import get_decoder
from pydicom.uid import UID, SecondaryCaptureImageStorage

from utils.errors import UserError

# Whatever pydicom and its decoders raise on damaged files; they have no class in common.
DICOM_ERRORS = (
    ArithmeticError, AttributeError, BytesLengthException, EOFError, InvalidDicomError, LookupError,
    OSError, RuntimeError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip

_PREAMBLE, _MAGIC = 128, b"DICM"
_MODALITIES = ("CT", "OT")  # OT: CT as some teaching collections export it
# Of RescaleType, in capitals, letters and digits alone; US is unspecified, and CT is in HU
# where nothing is said. Source: DICOM PS3.3, C.11.1.1.2 and C.8.2.1.1.4.
_HOUNSFIELD = ("", "HU", "US", "HOUNSFIELD", "HOUNSFIELDUNIT", "HOUNSFIELDUNITS")
_TAGS = [
    "Columns", "ImageOrientationPatient", "ImagePositionPatient", "ImageType",
    "Modality", "NumberOfFrames", "PatientID", "PhotometricInterpretation",
    "PixelSpacing", "RescaleIntercept", "RescaleSlope", "RescaleType", "Rows", "SOPClassUID",
    "SamplesPerPixel",
    "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "SliceThickness",
    "SpacingBetweenSlices",
]  # fmt: skip


class SliceHeader(NamedTuple):
    """A CT image in one file.

    Attributes:
        path: The file.
        series: SeriesInstanceUID.
        title: SeriesNumber and SeriesDescription, as far as they are there.
        patient: PatientID; None where it is missing or empty.
        size: Rows and columns, px.
        position: (3,) centre of the first px, mm (LPS+).
        axes: (2, 3) directions along a row and along a column, of length 1 (LPS+).
        spacing: Distance of rows and of columns, mm.
        distance: Of slices, mm, as the header has it; None where it does not.
        slope: From stored values to HU.
        intercept: From stored values to HU.
        problem: Why the slice cannot be used; None where it can, and only then are all of the
            above sound.
    """

    path: Path
    series: str
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


def read_header(path: Path) -> SliceHeader | str:
    """The header of a CT image; for anything else, what it is in a word or two.

    Raises:
        UserError: A DICOM file that cannot be read.
    """
    try:
        with path.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # irregular values that nothing here depends on
            if stream.read(_PREAMBLE + len(_MAGIC))[_PREAMBLE:] != _MAGIC:
                return "not DICOM"
            stream.seek(0)
            dataset = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=_TAGS)
            return _name_other(dataset) or _describe(path, dataset)
    except DICOM_ERRORS as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: damaged DICOM header ({reason}); export it again") from error


def _name_other(dataset: Dataset) -> str | None:
    """What an object is that is no slice of a CT scan; None for one that is."""
    storage = dataset.file_meta.get("MediaStorageSOPClassUID", UID(""))
    is_ct = "CT Image" in storage.name
    modality = str(dataset.get("Modality") or "")
    if not is_ct and (modality not in _MODALITIES or "Rows" not in dataset):
        return modality if modality not in ("", *_MODALITIES) else storage.name
    if "LOCALIZER" in (dataset.get("ImageType") or ()):
        return "localizer"
    # Dose reports and screenshots; teaching collections keep scans as such, with a position.
    if storage == SecondaryCaptureImageStorage and "ImagePositionPatient" not in dataset:
        return "screenshot"
    return None


def _describe(path: Path, dataset: Dataset) -> SliceHeader:
    """A CT image in the terms of this project."""
    for keyword in ("SeriesInstanceUID", "Rows", "Columns"):
        if not dataset.get(keyword):
            raise ValueError(f"no {keyword}")
    between, thickness = dataset.get("SpacingBetweenSlices"), dataset.get("SliceThickness")
    title = [dataset.get("SeriesNumber"), dataset.get("SeriesDescription")]
    axes = np.reshape(_numbers(dataset, "ImageOrientationPatient", 6), (2, 3))
    return SliceHeader(
        path=path,
        series=str(dataset.SeriesInstanceUID),
        title=" ".join(str(part) for part in title if part not in (None, "")),
        patient=str(dataset.get("PatientID") or "").strip() or None,
        size=(int(dataset.Rows), int(dataset.Columns)),
        position=_numbers(dataset, "ImagePositionPatient", 3),
        axes=axes / np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1e-6),
        spacing=tuple(float(side) for side in _numbers(dataset, "PixelSpacing", 2)),
        distance=abs(float(between or thickness or 0)) or None,
        slope=float(_numbers(dataset, "RescaleSlope", 1)[0]),
        intercept=float(_numbers(dataset, "RescaleIntercept", 1)[0]),
        problem=_find_problem(dataset, axes),
    )


def _numbers(dataset: Dataset, keyword: str, count: int) -> np.ndarray:
    """(count,) float64; NaN where they are missing, or not that many."""
    values = np.array(dataset.get(keyword), dtype=float, ndmin=1)
    return values if values.shape == (count,) else np.full(count, np.nan)


def _find_problem(dataset: Dataset, axes: np.ndarray) -> str | None:
    """What keeps a slice from being used, and what to do about it."""
    if (frames := int(dataset.get("NumberOfFrames") or 1)) > 1:
        return f"holds {frames} frames (enhanced CT); export it as one file per slice"
    colours = dataset.get("SamplesPerPixel", 1), dataset.get("PhotometricInterpretation")
    if colours != (1, "MONOCHROME2"):
        return f"is {colours[1]}, not MONOCHROME2 as CT is; export the original series"
    if unit := _other_unit(dataset):
        return f"has the RescaleType {unit}, which is no Hounsfield units; leave its series out"
    for keyword, count in (
        ("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2),
        ("RescaleSlope", 1), ("RescaleIntercept", 1),
    ):  # fmt: skip
        if not np.isfinite(_numbers(dataset, keyword, count)).all():
            return f"has no {keyword}; export the original series"
    if min(_numbers(dataset, "PixelSpacing", 2)) <= 0 or dataset.RescaleSlope == 0:
        return "has a PixelSpacing or RescaleSlope of 0; export the original series"
    # Degrees of a tenth at the most: directions are written with six digits.
    if abs(axes @ axes.T - np.eye(2)).max() > 1e-3:
        return f"has an ImageOrientationPatient of no right angle {axes.ravel().tolist()}"
    return _lack_of_decoder(dataset.file_meta.get("TransferSyntaxUID", UID("")))


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
