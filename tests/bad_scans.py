"""Files that no network can be fed with, each in one way."""

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from dicom_files import at, write_series
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML

from datasets.image_io import write_png


def hounsfield(num_slices: int = 4, size: int = 32) -> np.ndarray:
    """Noise, (slices, rows, columns) whole HU."""
    values = np.random.default_rng(0).integers(-1024, 600, (num_slices, size, size))
    return values.astype(np.int16)


def save_scan(path: Path, values: np.ndarray | None = None) -> Path:
    """Write a NIfTI file."""
    values = hounsfield() if values is None else values
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values.T, np.diag([0.8, 0.7, 2.5, 1])), path)
    return path


def grey() -> np.ndarray:
    """A slice, (32, 32) uint8."""
    return np.random.default_rng(0).integers(0, 255, (32, 32)).astype(np.uint8)


def _truncated_gzip(folder: Path) -> str:
    path = save_scan(folder / "cut.nii.gz")
    path.write_bytes(path.read_bytes()[:-2000])
    return "cut.nii.gz"


def _promise(folder: Path) -> str:
    path = save_scan(folder / "huge.nii")
    data = bytearray(path.read_bytes())
    data[42:48] = np.array([10_000] * 3, "<i2").tobytes()
    (folder / "huge.nii.gz").write_bytes(gzip.compress(bytes(data)))
    path.unlink()
    return "huge.nii.gz"


def _not_finite(value: float) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        values = hounsfield().astype(np.float32)
        values[2, 5, 5] = value
        save_scan(folder / "holes.nii", values)
        return "holes.nii"

    return write


def _four_axes(folder: Path) -> str:
    save_scan(folder / "moving.nii", np.zeros((2, 3, 32, 32), np.int16))
    return "moving.nii"


def _coloured(folder: Path) -> str:
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    write_png(folder / "photo.png", pixels)
    return "photo.png"


def _half_an_image(folder: Path) -> str:
    write_png(folder / "half.png", grey())
    path = folder / "half.png"
    path.write_bytes(path.read_bytes()[:-300])
    return "half.png"


def _empty_image(folder: Path) -> str:
    (folder / "empty.jpg").touch()
    return "empty.jpg"


def _missing_slice(folder: Path) -> str:
    write_series(folder, hounsfield(6), seed=folder.name)[3].unlink()
    return "IM0004"


def _two_patients(folder: Path) -> str:
    write_series(folder, hounsfield(6), seed=folder.name, change=at(5, PatientID="P2"))
    return "IM0005"


def _compressed(folder: Path) -> str:
    def change(_: int, dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = MPEG2MPML
        dataset.PixelData = encapsulate([b"a film"])

    write_series(folder, hounsfield(2), seed=folder.name, change=change)
    return "MPEG2"


def _nobody(folder: Path) -> str:
    write_series(folder, hounsfield(2), seed=folder.name, patient=None)
    return "--patient-id"


# What is wrong, and who writes it into a folder and returns what the message names.
BAD: dict[str, Callable[[Path], str]] = {
    "a truncated gzip": _truncated_gzip,
    "a header that promises too much": _promise,
    "NaN": _not_finite(np.nan),
    "infinity": _not_finite(np.inf),
    "four axes": _four_axes,
    "a coloured image": _coloured,
    "half an image": _half_an_image,
    "an empty image": _empty_image,
    "a missing DICOM slice": _missing_slice,
    "two patients in a series": _two_patients,
    "a syntax that nothing decodes": _compressed,
    "no patient ID": _nobody,
}
