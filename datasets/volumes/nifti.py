"""NIfTI files, .nii and .nii.gz, read through a memory map."""

import gzip
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from datasets.volumes.geometry import has_place
from datasets.volumes.nifti_header import GZIP_ERRORS, Header, NiftiFacts, damaged, read_facts
from datasets.volumes.scratch import no_room, scratch_file
from datasets.volumes.volume import Volume
from utils.errors import UserError

_GZIP_MAGIC = b"\x1f\x8b"
# Deflate packs 1032 bytes of zeros into one at the most.
_MAX_RATIO = 1100
_CHUNK = 1 << 20


class NiftiVolume(Volume):
    """A volume of a NIfTI file.

    Attributes:
        header: As read, without extensions.
    """

    def __init__(self, path: Path, stored: np.ndarray, facts: NiftiFacts) -> None:
        header: Header = facts.header
        is_coded = bool(header["sform_code"] > 0 or header["qform_code"] > 0)
        super().__init__(
            nifti_stem(path),
            path,
            stored,
            facts.affine,
            facts.slope,
            facts.intercept,
            has_place=is_coded and has_place(facts.header.get_best_affine()),
        )
        self.header = header


def nifti_stem(path: Path) -> str:
    """The name of a file without .nii or .nii.gz."""
    stem = path.name
    for suffix in (".gz", ".nii"):
        if stem.lower().endswith(suffix):
            stem = stem[: -len(suffix)]
    return stem


@contextmanager
def open_nifti(path: Path) -> Iterator[NiftiVolume]:
    """A scan, label or lung volume, on the disk rather than in memory.

    A compressed file is unpacked to a temporary one, which is gone afterwards. What a file is, is
    told by its content, not by its suffix. Nothing is allocated before the header is found sound.

    Raises:
        UserError: No such file; not a NIfTI file, or a truncated or damaged one; one of more than
            three axes, of colour or complex values, or without a place in space; no room for the
            temporary file.
    """
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(path.open("rb"))
            packed = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            stream.seek(0)
            volume = _open_packed(path, stream, stack) if packed else _open_plain(path, stream)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
        yield volume


def read_nifti_shape(path: Path) -> tuple[int, int, int]:
    """The stored shape of a volume by its header alone.

    Raises:
        UserError: As open_nifti.
    """
    try:
        with path.open("rb") as stream:
            packed = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            stream.seek(0)
            return read_facts(path, gzip.GzipFile(fileobj=stream) if packed else stream).shape
    except GZIP_ERRORS as error:
        raise damaged(path, error) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def _open_plain(path: Path, stream: BinaryIO) -> NiftiVolume:
    """Map the file itself."""
    facts = read_facts(path, stream)
    size = path.stat().st_size
    if facts.num_bytes > size:
        raise UserError(
            f"{path}: its header promises {_promise(facts)}, the file has {size:,}; "
            "get the file again"
        )
    return NiftiVolume(path, _map(stream, facts), facts)


def _open_packed(path: Path, stream: BinaryIO, stack: ExitStack) -> NiftiVolume:
    """Unpack to a temporary file and map that."""
    try:
        with gzip.GzipFile(fileobj=stream) as unpacked:
            facts = read_facts(path, unpacked)
            size = path.stat().st_size
            if facts.num_bytes > size * _MAX_RATIO:
                raise UserError(
                    f"{path}: its header promises {_promise(facts)}, which cannot come from "
                    f"{size:,} compressed ones; get the file again"
                )
            unpacked.seek(0)
            scratch = stack.enter_context(scratch_file(path, facts.num_bytes))
            _unpack(path, unpacked, scratch, facts)
    except GZIP_ERRORS as error:
        raise damaged(path, error) from error
    return NiftiVolume(path, _map(scratch, facts), facts)


def _unpack(path: Path, unpacked: gzip.GzipFile, scratch: BinaryIO, facts: NiftiFacts) -> None:
    """Write what the header promises, and read on to the checksum at the end."""
    left = facts.num_bytes
    while left and (chunk := unpacked.read(min(left, _CHUNK))):
        try:
            scratch.write(chunk)
        except OSError as error:
            raise no_room(path, error) from error
        left -= len(chunk)
    if left:
        raise UserError(
            f"{path}: its header promises {_promise(facts)}, the file has "
            f"{facts.num_bytes - left:,}; get the file again"
        )
    if len(unpacked.read(_CHUNK)) == _CHUNK:
        raise UserError(
            f"{path}: holds more than the {_promise(facts)} of its header; get the file again"
        )
    scratch.flush()


def _map(stream: BinaryIO, facts: NiftiFacts) -> np.memmap:
    """The stored values; the first axis varies fastest."""
    return np.memmap(stream, facts.dtype, "r", facts.offset, facts.shape, order="F")


def _promise(facts: NiftiFacts) -> str:
    """How much the file would have to hold, in words."""
    shape = " x ".join(str(length) for length in facts.shape)
    return f"{shape} voxels in {facts.num_bytes:,} bytes"
