"""CT series of DICOM files as volumes in Hounsfield units."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from datasets.volumes.dicom_bits import lost_bits
from datasets.volumes.dicom_file import DICOM_ERRORS, read_dicom
from datasets.volumes.dicom_geometry import find_affine
from datasets.volumes.dicom_header import SliceHeader
from datasets.volumes.dicom_series import DicomSeries, find_series
from datasets.volumes.scratch import release_pages, scratch_array
from datasets.volumes.volume import Volume
from utils.errors import UserError

__all__ = ["DicomSeries", "DicomVolume", "find_series", "open_series"]

# The least value of CT in 12 bits; what is outside of the scanned circle is air at any rate.
_PADDING_HU = -1024


class DicomVolume(Volume):
    """A CT series in HU; `stored` has columns, rows and slices, the latter as in `series.files`.

    Attributes:
        series: Where it is from.
        axial_files: The file that holds each axial slice, from feet to head; None for a sagittal or
            coronal series, whose files hold a piece of every axial slice.
    """

    def __init__(self, series: DicomSeries, stored: np.ndarray) -> None:
        super().__init__(series.name, series.folder, stored, find_affine(series.headers))
        self.series = series
        self.axial_files = self._find_axial_files()

    def frames_of(self, axial: np.ndarray) -> np.ndarray:
        """An axial array as the files have it.

        Args:
            axial: (slices, H, W), such as a mask of the volume.

        Returns:
            (files, rows, columns) in the order of `series.files`; px by px where their pixels are,
            whatever the direction in which the series was acquired. A view.
        """
        return self.view.back(axial).transpose(2, 1, 0)

    def _find_axial_files(self) -> tuple[Path, ...] | None:
        """See above."""
        files = self.series.files
        numbers = self.view.of(np.broadcast_to(np.arange(len(files)), self.view.stored_shape))
        if len(numbers) != len(files) or np.ptp(numbers[0]) > 0:
            return None
        return tuple(files[number] for number in numbers[:, 0, 0])


@contextmanager
def open_series(series: DicomSeries) -> Iterator[DicomVolume]:
    """A series, decoded once to a temporary file, a slice in memory at a time.

    Raises:
        UserError: The series has a problem, a file cannot be decoded, or there is no room for the
            temporary file.
    """
    if series.problem is not None:
        raise UserError(series.problem)
    shape = (len(series.files), *series.headers[0].size)
    with scratch_array(series.folder, shape, np.float32) as decoded:
        for index, header in enumerate(series.headers):
            decoded[index] = _decode(header)
            release_pages(decoded)
        yield DicomVolume(series, decoded.transpose(2, 1, 0))


def _decode(header: SliceHeader) -> np.ndarray:
    """(rows, columns) float64 HU of one file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # irregular values that nothing here depends on
            dataset = read_dicom(header.path)
            stored = dataset.pixel_array
            padding = find_padding(dataset, stored)
            lost = lost_bits(dataset)
    except DICOM_ERRORS as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{header.path}: cannot be decoded ({reason}); export it again") from error
    if lost is not None:
        raise UserError(f"{header.path}: {lost}")
    if stored.shape != header.size:
        raise UserError(f"{header.path}: holds an image of {stored.shape}, not {header.size}")
    hounsfield = stored * header.slope + header.intercept
    hounsfield[padding] = _PADDING_HU
    return hounsfield


def find_padding(dataset: Dataset, stored: np.ndarray) -> np.ndarray:
    """Which pixels were not scanned.

    Args:
        dataset: Of the file.
        stored: (rows, columns) its pixels as stored.

    Source: DICOM PS3.3, C.7.5.1.1.2 (Pixel Padding Value and Range Limit).
    """
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, bool)
    limit = dataset.get("PixelPaddingRangeLimit", value)
    # Written as signed where pixels are not, or the other way, by many a scanner.
    value, limit = (int(number) & 0xFFFF for number in (value, limit))
    if dataset.PixelRepresentation:
        value, limit = ((number ^ 0x8000) - 0x8000 for number in (value, limit))
    return (stored >= min(value, limit)) & (stored <= max(value, limit))
