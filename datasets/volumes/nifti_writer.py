"""NIfTI files with the geometry of another volume, written through a memory map."""

import gzip
import io
import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import nibabel as nib
import numpy as np
from numpy.typing import DTypeLike

from datasets.volumes.nifti import NiftiVolume
from datasets.volumes.nifti_header import Header
from datasets.volumes.scratch import reserve
from datasets.volumes.volume import Volume
from utils.files import whole_file

_LEVEL = 1
_CHUNK = 1 << 20


@contextmanager
def write_nifti(
    path: Path, like: Volume, dtype: DTypeLike, slope: float = 1.0
) -> Iterator[np.ndarray]:
    """A new file beside a volume that it shares every voxel with.

    The affine, its codes, the spacing and the units of a NIfTI volume are kept to the bit, and so
    is the order in which its voxels are stored. Equal values give equal files.

    Args:
        path: .nii or .nii.gz, in a folder that exists.
        like: Gives the geometry.
        dtype: Of the stored values.
        slope: Factor on stored values, for who reads the file.

    Returns:
        Context of the (slices, H, W) stored values, zeros to be written to. On leaving it the file
        appears at `path`, whole; on an error nothing does. `release_pages` of it now and then
        bounds the memory that it takes.

    Raises:
        UserError: The disk is full or read-only.
        ValueError: Another suffix, or a type that NIfTI does not have.
    """
    packed = path.name.lower().endswith(".nii.gz")
    if not packed and path.suffix.lower() != ".nii":
        raise ValueError(f"{path}: must end in .nii or .nii.gz")
    header = _describe(like, np.dtype(dtype), slope)
    # Beside the target, where the user has made room.
    with whole_file(path) as target, _unpacked(target, packed) as stream:
        stored = _allocate(stream, header, like.view.stored_shape)
        yield like.view.of(stored)
        if packed:
            _pack(stream, target)
        else:
            stored.flush()


def _unpacked(target: Path, packed: bool) -> BinaryIO:
    """The file to map: a temporary one without a name where another one is made of it."""
    return tempfile.TemporaryFile(dir=target.parent) if packed else target.open("w+b")


def _describe(like: Volume, dtype: np.dtype, slope: float) -> Header:
    """The header of `like` with other values, or a new one with its affine."""
    if isinstance(like, NiftiVolume):
        header = like.header.copy()
        for field in ("descrip", "aux_file", "intent_name", "intent_code", "cal_max", "cal_min"):
            header[field] = np.zeros((), header[field].dtype)
        for field in ("intent_p1", "intent_p2", "intent_p3", "vox_offset"):
            header[field] = 0
    else:
        header = nib.Nifti1Header()
        header.set_data_shape(like.view.stored_shape)
        header.set_qform(like.view.affine, 1)
        header.set_sform(like.view.affine, 1)
        header.set_xyzt_units("mm")
    header.set_data_dtype(dtype)
    header.set_slope_inter(slope, 0.0)
    return header


def _allocate(stream: BinaryIO, header: Header, shape: tuple[int, ...]) -> np.memmap:
    """Write the header and map the zeros after it."""
    start = io.BytesIO()
    header.write_to(start)
    offset = header.get_data_offset()
    dtype = header.get_data_dtype()
    reserve(stream, offset + math.prod(shape) * dtype.itemsize)
    stream.seek(0)
    stream.write(start.getvalue())
    stream.flush()
    return np.memmap(stream, dtype, "r+", offset, shape, order="F")


def _pack(stream: BinaryIO, target: Path) -> None:
    """Compress a file; without name and time, so that equal contents give equal files."""
    stream.seek(0)
    with (
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed,
    ):
        shutil.copyfileobj(stream, packed, _CHUNK)
