"""What the header of a NIfTI file promises, and whether that can be."""

import gzip
import logging
import math
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from datasets.stand_ins import describe_stand_in
from utils.errors import UserError

# Both are single-file headers; nib.Nifti2Header is a subclass of the other.
Header = nib.Nifti1Header | nib.Nifti2Header

_SIZES = {nib.Nifti1Header: 348, nib.Nifti2Header: 540}
_MM = {"meter": 1000.0, "micron": 0.001}
_QUIET = logging.Logger(__name__, level=logging.CRITICAL)


class NiftiFacts(NamedTuple):
    """The parts of a header that reading needs, found sound.

    Attributes:
        header: As read, without extensions.
        shape: Of the stored volume, three axes; a single slice has a last axis of length 1.
        dtype: Of the stored values, with their byte order.
        offset: Of the first value in the file, bytes.
        affine: From voxel indices to mm (RAS+).
        slope: Factor on stored values.
        intercept: What is added to them.
    """

    header: Header
    shape: tuple[int, int, int]
    dtype: np.dtype
    offset: int
    affine: np.ndarray
    slope: float
    intercept: float

    @property
    def num_bytes(self) -> int:
        """How long the file must be, uncompressed."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize


def read_facts(path: Path, stream: BinaryIO) -> NiftiFacts:
    """Read and check a header.

    Args:
        path: For the messages.
        stream: At the beginning of the uncompressed file.

    Raises:
        UserError: Not a NIfTI file, or one that holds no scan.
    """
    try:
        start = stream.read(max(_SIZES.values()))
        header = _parse(path, start)
        header.check_fix(_QUIET)
        return NiftiFacts(
            header,
            _shape(path, header),
            _dtype(path, header),
            header.get_data_offset(),
            _affine(path, header),
            *_scaling(header),
        )
    except (HeaderDataError, ValueError, OverflowError, KeyError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: damaged NIfTI header ({error})") from error


def _parse(path: Path, start: bytes) -> Header:
    """The header in the first bytes of a file; its magic number decides, not the file's name."""
    if start[344:348] == b"n+1\0":
        kind = nib.Nifti1Header
    elif start[4:8] == b"n+2\0":
        kind = nib.Nifti2Header
    elif start[344:348] == b"ni1\0" or start[4:8] == b"ni2\0":
        raise UserError(f"{path}: half of a .hdr and .img pair; convert it to one .nii file")
    else:
        other = "not a NIfTI file" if start else "an empty file"
        raise UserError(f"{path}: {describe_stand_in(start) or other}")
    size = _SIZES[kind]
    if len(start) < size:
        raise UserError(f"{path}: ends within its header; get the file again")
    return kind(start[:size], check=False)


def _shape(path: Path, header: Header) -> tuple[int, int, int]:
    """Three axes; what has more must not be longer than 1 along them."""
    shape = tuple(int(length) for length in header.get_data_shape())
    if len(shape) < 2 or min(shape) < 1:
        raise UserError(f"{path}: has the shape {shape}, which holds no image")
    if any(length > 1 for length in shape[3:]):
        raise UserError(
            f"{path}: has {len(shape)} axes {shape}; split it into volumes of three axes"
        )
    return (*shape, 1)[:3]


def _dtype(path: Path, header: Header) -> np.dtype:
    """The type of the stored values: whole or real numbers."""
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        kind = header.get_value_label("datatype")
        raise UserError(f"{path}: holds {kind} values; a scan or label has one real number each")
    return dtype


def _affine(path: Path, header: Header) -> np.ndarray:
    """From voxel indices to mm; nibabel's choice of sform, qform, or the mere spacing."""
    affine = header.get_best_affine()
    with np.errstate(over="ignore", invalid="ignore"):
        sides = np.sqrt((affine[:3, :3] ** 2).sum(0))
    # As many independent directions as axes, up to the rounding of float32.
    if not (np.isfinite([*affine, [*sides, 0]]).all() and sides.all()) or (
        abs(np.linalg.det(affine[:3, :3] / sides)) < 1e-6
    ):
        raise UserError(
            f"{path}: its affine {affine[:3].tolist()} puts the volume nowhere in space; "
            "mend the header's sform or qform"
        )
    scale = np.diag([*[_MM.get(header.get_xyzt_units()[0], 1.0)] * 3, 1.0])
    return scale @ affine


def _scaling(header: Header) -> tuple[float, float]:
    """Slope and intercept; a slope of 0 or NaN means none."""
    slope, intercept = header.get_slope_inter()
    return (1.0 if slope is None else slope), (0.0 if intercept is None else intercept)


def damaged(path: Path, error: Exception) -> UserError:
    """One line for a gzip stream that breaks off or does not add up."""
    truncated = isinstance(error, EOFError)
    what = "breaks off" if truncated else f"damaged ({error})"
    return UserError(f"{path}: gzip file {what}; get the file again")


GZIP_ERRORS = (EOFError, gzip.BadGzipFile, zlib.error)
