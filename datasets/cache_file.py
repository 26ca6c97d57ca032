"""The file of a cache: arrays one after another, their index, and a trailer that finds the index.

Every array has a checksum, and so has the index. The index is JSON: `key`, the file's identity;
`end`, the bytes of all arrays; and for each slice its size, the values of its mask and where its
arrays stand (null for a slice that is not cached): offset, dtype and CRC32 of image, mask, edge
and lung (null for one without a file).
"""

import json
import mmap
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from datasets.stored import SliceLook, StoredSlice

FORMAT = 1
_MAGIC = b"CTslices"
_TRAILER = struct.Struct("<8sQI")  # magic, bytes of the index, its CRC32
_ALIGNMENT = 16  # bytes; an array of two bytes a pixel must not start at an odd one


class DamagedCacheError(Exception):
    """The file is not what was written; the message says in what."""


class _Place(NamedTuple):
    """Where an array stands: offset in bytes, NumPy's name of its type, CRC32."""

    offset: int
    dtype: str
    checksum: int


class CacheWriter:
    """Writes slices in their order, as many as fit a limit, and then the index.

    Args:
        file: Empty, open for writing.
        key: The file's identity.
        limit: Bytes of all arrays together.
    """

    def __init__(self, file: BinaryIO, key: str, limit: int) -> None:
        self._file, self._key, self._limit = file, key, limit
        self._end, self._is_full = 0, False
        self._rows: list[list[Any]] = []

    def add(self, stored: StoredSlice, look: SliceLook) -> None:
        """Append a slice whole, or only what was found in it once one did not fit."""
        num_bytes = sum(
            array.nbytes + _padding(array.nbytes) for array in stored if array is not None
        )
        self._is_full = self._is_full or self._end + num_bytes > self._limit
        places = None if self._is_full else [self._append(array) for array in stored]
        self._rows.append([look.size, sorted(look.mask_values), places])

    def _append(self, array: np.ndarray | None) -> _Place | None:
        if array is None:
            return None
        data = array.tobytes()
        place = _Place(self._end, array.dtype.str, zlib.crc32(data))
        self._file.write(data + bytes(_padding(len(data))))
        self._end += len(data) + _padding(len(data))
        return place

    def finish(self) -> None:
        """Write index and trailer through to the disk."""
        index = {"key": self._key, "end": self._end, "slices": self._rows}
        data = json.dumps(index, separators=(",", ":")).encode()
        self._file.write(data + _TRAILER.pack(_MAGIC, len(data), zlib.crc32(data)))
        self._file.flush()
        os.fsync(self._file.fileno())


def _padding(num_bytes: int) -> int:
    return -num_bytes % _ALIGNMENT


class SliceCache:
    """Decoded slices in a memory-mapped file, whose memory all processes share.

    A copy in another process opens the file again at its first read. Changes of the slices' own
    files during a run are not seen.

    Args:
        path: The file.
        key: The identity that it must have.

    Attributes:
        looks: What was found in each slice, also in those that are not cached.

    Raises:
        OSError: No such file, or it cannot be read.
        DamagedCacheError: Not what was written under this identity.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self._mapping: mmap.mmap | None = _map(path)
        index = _read_index(self._mapping)
        if index["key"] != key:
            raise DamagedCacheError("the index is another file's")
        self._num_bytes = len(self._mapping)
        self.looks = [
            SliceLook(tuple(size), frozenset(values)) for size, values, _ in index["slices"]
        ]
        self._places: list[Sequence[_Place | None] | None] = [
            places and [place and _Place(*place) for place in places]
            for _, _, places in index["slices"]
        ]
        self._has_warned = False

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_mapping": None}  # a mapping cannot be pickled

    @property
    def num_cached(self) -> int:
        """How many slices the limit left room for."""
        return sum(places is not None for places in self._places)

    def read(self, index: int) -> StoredSlice | None:
        """One slice, its arrays read-only; None where it is not cached or no longer intact.

        The first damage that a process meets is reported in one line.
        """
        places = self._places[index]
        if places is None:
            return None
        try:
            size = self.looks[index].size
            return StoredSlice(*(place and self._array(place, size) for place in places))
        except (OSError, DamagedCacheError) as error:
            if not self._has_warned:
                print(
                    f"warning: {self.path}: {error}; what is lost is decoded from the slices' own "
                    "files; delete this file to have it built anew",
                    flush=True,  # a worker process does not flush at its end
                )
            self._has_warned = True
            return None

    def _array(self, place: _Place, size: tuple[int, int]) -> np.ndarray:
        if self._mapping is None:
            self._mapping = _map(self.path)
        # Reading beyond the end of a file that was cut off would kill the process.
        if self._mapping.size() < self._num_bytes:
            raise DamagedCacheError("the file was cut off")
        array = np.frombuffer(self._mapping, place.dtype, size[0] * size[1], place.offset)
        if zlib.crc32(array) != place.checksum:
            raise DamagedCacheError(f"damaged at byte {place.offset}")
        return array.reshape(size)


def _map(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        try:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise DamagedCacheError("an empty file") from error


def _read_index(mapping: mmap.mmap) -> dict[str, Any]:
    """The index, once it is known to be whole and to fit the file."""
    trailer = mapping[-_TRAILER.size :]
    if len(trailer) < _TRAILER.size:
        raise DamagedCacheError("too short")
    magic, num_bytes, checksum = _TRAILER.unpack(trailer)
    start = len(mapping) - _TRAILER.size - num_bytes
    if magic != _MAGIC or start < 0:
        raise DamagedCacheError("no index")
    data = mapping[start : start + num_bytes]
    if zlib.crc32(data) != checksum:
        raise DamagedCacheError("a damaged index")
    index = json.loads(data)
    if index["end"] != start:
        raise DamagedCacheError("arrays are missing")
    return index
