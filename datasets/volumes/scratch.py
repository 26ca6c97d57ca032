"""Room on the disk for arrays that are larger than the memory should be."""

import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import DTypeLike

from utils.errors import UserError

_CHUNK = 1 << 20
_ZEROS = bytes(_CHUNK)


def reserve(stream: BinaryIO, num_bytes: int) -> None:
    """Make a file that long, of zeros, with its blocks on the disk.

    Without them a full disk would end the process by a signal as soon as a memory map of the file
    is written to.

    Raises:
        OSError: There is no room.
    """
    if hasattr(os, "posix_fallocate"):
        stream.flush()
        os.posix_fallocate(stream.fileno(), 0, num_bytes)
        return
    stream.seek(0)
    for start in range(0, num_bytes, _CHUNK):
        stream.write(_ZEROS[: num_bytes - start])
    stream.flush()


@contextmanager
def scratch_file(path: Path, num_bytes: int) -> Iterator[BinaryIO]:
    """A temporary file without a name, gone with the process whatever ends it.

    Args:
        path: What it is needed for, for the message.
        num_bytes: How much will be written; nothing is written yet.

    Raises:
        UserError: The folder of temporary files has no room for it, now or later.
    """
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise UserError(
            f"{path}: takes {num_bytes:,} bytes of temporary files, {folder} has {free:,} left; "
            "make room there, or set TMPDIR to a folder with more"
        )
    with tempfile.TemporaryFile() as stream:
        yield stream


@contextmanager
def scratch_array(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> Iterator[np.memmap]:
    """Zeros in a memory map of a temporary file; `path` as above.

    Raises:
        UserError: The folder of temporary files has no room for it.
    """
    dtype = np.dtype(dtype)
    num_bytes = math.prod(shape) * dtype.itemsize
    with scratch_file(path, num_bytes) as stream:
        try:
            reserve(stream, num_bytes)
        except OSError as error:
            raise no_room(path, error) from error
        yield np.memmap(stream, dtype, "r+", shape=shape)


def release_pages(array: np.ndarray) -> None:
    """Let go of the memory that the touched part of a memory map takes; nothing is lost.

    The system keeps the pages as long as it has room, and would take them back by itself; but until
    then they count as memory of this process, up to the size of the file. An array in memory is
    left alone.

    Args:
        array: A memory map of a file that is shared with it, or a view of one.
    """
    base = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def no_room(path: Path, error: OSError) -> UserError:
    """One line for temporary files that could not be written."""
    return UserError(
        f"{path}: cannot be unpacked to {tempfile.gettempdir()} ({error.strerror or error}); "
        "make room there, or set TMPDIR to a folder with more"
    )
