"""Chest X-rays as grey levels: images of any kind, and DICOM files of CR and DX."""

import warnings
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from datasets.card import X_RAYS
from datasets.image_io import read_gray
from datasets.volumes import DICOM_ERRORS, find_padding, is_dicom, read_dicom
from utils.errors import UserError

_WHITE = np.iinfo(np.uint16).max
_SUFFIXES = (".dcm", ".dicom")
_HEADER = ["Modality", "Rows"]


def is_radiograph(path: Path, *, any_modality: bool = False) -> bool:
    """Whether a file is a DICOM image of CR or DX.

    Args:
        path: Any file.
        any_modality: Take images of all modalities for X-rays.
    """
    if not is_dicom(path):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # irregular values that nothing here depends on
            header = read_dicom(path, _HEADER, with_pixels=False)
            return header.get("Modality") in X_RAYS or (any_modality and "Rows" in header)
    except DICOM_ERRORS:
        return False


def radiograph_stem(path: Path) -> str:
    """What the outputs of a DICOM file are called after: a UID for a name has dots of its own."""
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def read_radiograph(path: Path) -> np.ndarray:
    """The grey levels of an X-ray as it is shown: bone bright, air dark.

    Images: colours by their luma, what shines through on black, as public sets are screenshots
    with coloured marks as often as not. DICOM: rescaled, its VOI LUT or first window applied,
    MONOCHROME1 inverted, then stretched over 16 bits; padding is black.

    Returns:
        (H, W) uint8 or uint16.

    Raises:
        UserError: The file cannot be read, is coloured DICOM, or holds several frames.

    Source: DICOM PS3.3, C.11.1 (Modality LUT), C.11.2 (VOI LUT), C.7.6.3.1.2 (MONOCHROME1).
    """
    if not is_dicom(path):
        return read_gray(path, as_luma=True, on_black=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as above
            dataset = read_dicom(path)
            _check_grey(dataset, path)
            stored = dataset.pixel_array
            padding = find_padding(dataset, stored)
            shown = apply_voi_lut(apply_modality_lut(stored, dataset), dataset).astype(np.float64)
    except DICOM_ERRORS as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be decoded ({reason}); export it again") from error
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = -shown
    return _stretched(shown, padding)


def _check_grey(dataset: Dataset, path: Path) -> None:
    """Refuse what is more than one grey image."""
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise UserError(f"{path}: {dataset.NumberOfFrames} frames; export the X-ray alone")
    if dataset.get("SamplesPerPixel", 1) != 1:
        raise UserError(f"{path}: a coloured image; export the X-ray in grey levels")


def _stretched(shown: np.ndarray, padding: np.ndarray) -> np.ndarray:
    """Levels over 16 bits, black where there is none; networks see slices by their z-score."""
    seen = shown[~padding]
    if not seen.size:
        return np.zeros(shown.shape, np.uint16)
    low, high = seen.min(), seen.max()
    levels = (shown - low) * (_WHITE / max(high - low, np.finfo(float).tiny))
    return np.where(padding, 0, np.rint(levels).clip(0, _WHITE)).astype(np.uint16)
