"""The two files of a cache: all pixels in one flat array, NAME.bin, and its index, NAME.json.

The index is a pair of its CRC32 and its content: `key`, the files' identity; `end`, the bytes of
the array; and for each slice its size, the values of its mask and where its images stand (null
for a slice that is not cached): offset in bytes, NumPy's name of the type and CRC32 of image,
mask, edge and lung (null for one without a file).
"""

import json
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from datasets.stored import SliceFacts, StoredSlice
from utils.files import whole_file

FORMAT = 2
_ALIGNMENT = 16  # bytes; an image of two bytes a pixel must not start at an odd one
_Place = Sequence[Any]  # offset, type, CRC32


class DamagedCacheError(Exception):
    """The files are not what was written; the message says in what."""


def write_cache(
    path: Path,
    decoded: Iterable[tuple[StoredSlice, SliceFacts]],
    facts: list[SliceFacts],
    limit: int,
) -> None:
    """Write slices in their order, as many as fit a limit, and their index.

    Args:
        path: The array's file. Its name without suffix is the identity.
        decoded: The slices.
        facts: Takes what was found in each slice, up to the one at which an error ends it.
        limit: Bytes of all pixels together.

    Raises:
        UserError: The disk is full or read-only.
    """
    rows, is_full = [], False
    # The array appears before its index, without which it is no cache.
    with whole_file(_index_of(path)) as index_draft, whole_file(path) as draft:
        with draft.open("wb") as file:
            for stored, fact in decoded:
                facts.append(fact)
                num_bytes = sum(image.nbytes for image in stored if image is not None)
                is_full = is_full or file.tell() + num_bytes > limit
                places = None if is_full else [_append(image, file) for image in stored]
                rows.append([fact.size, sorted(fact.mask_values), places])
            file.flush()
            os.fsync(file.fileno())
            index = {"key": path.stem, "end": file.tell(), "slices": rows}
        index_draft.write_text(json.dumps([_checksum(index), index]))


def _append(image: np.ndarray | None, file: BinaryIO) -> _Place | None:
    if image is None:
        return None
    file.write(bytes(-file.tell() % _ALIGNMENT))
    place = (file.tell(), image.dtype.str, zlib.crc32(image))
    file.write(image)
    return place


def _index_of(path: Path) -> Path:
    return path.with_suffix(".json")


def _checksum(index: Any) -> int:
    return zlib.crc32(json.dumps(index).encode())


class SliceCache:
    """Decoded slices in a memory-mapped array, whose memory all processes share.

    A copy in another process maps the array again at its first read. Changes of the slices' own
    files during a run are not seen.

    Args:
        path: The array's file.

    Attributes:
        facts: What was found in each slice, also in those that are not cached.

    Raises:
        OSError: A file is missing or cannot be read.
        DamagedCacheError: Not what was written under this name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        index = _read_index(path)
        self.facts = [
            SliceFacts(tuple(size), frozenset(values)) for size, values, _ in index["slices"]
        ]
        self._places: list[Sequence[_Place | None] | None] = [
            places for _, _, places in index["slices"]
        ]
        self._num_bytes = index["end"]
        self._pixels: np.memmap | None = self._map()
        self._has_warned = False

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pixels": None}  # NumPy would pickle every pixel

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
            size = self.facts[index].size
            return StoredSlice(*(place and self._image(*place, size) for place in places))
        except (OSError, DamagedCacheError) as error:
            if not self._has_warned:
                print(
                    f"warning: {self.path}: {error}; what is lost is decoded from the slices' own "
                    "files; delete this file to have it built anew",
                    flush=True,  # a worker process does not flush at its end
                )
            self._has_warned = True
            return None

    def _image(self, offset: int, dtype: str, checksum: int, size: tuple[int, int]) -> np.ndarray:
        if self._pixels is None:
            self._pixels = self._map()
        # Reading beyond the end of a file that was cut off would kill the process.
        if self._pixels.base.size() < self._num_bytes:
            raise DamagedCacheError("bytes are missing")
        image = np.frombuffer(self._pixels, dtype, size[0] * size[1], offset)
        if zlib.crc32(image) != checksum:
            raise DamagedCacheError(f"damaged at byte {offset}")
        return image.reshape(size)

    def _map(self) -> np.memmap | None:
        if self.path.stat().st_size != self._num_bytes:
            raise DamagedCacheError("bytes are missing")
        return np.memmap(self.path, np.uint8, "r") if self._num_bytes else None


def _read_index(path: Path) -> dict[str, Any]:
    """The index, once it is known to be whole and to be the array's."""
    try:
        checksum, index = json.loads(_index_of(path).read_bytes())
    except (TypeError, ValueError) as error:
        raise DamagedCacheError("no index") from error
    if _checksum(index) != checksum:
        raise DamagedCacheError("a damaged index")
    if index["key"] != path.stem:
        raise DamagedCacheError("the index is another's")
    return index
