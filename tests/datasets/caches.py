"""Caches of training slices, and what they must hold."""

from pathlib import Path

import numpy as np

from datasets.cache import open_cache
from datasets.cache_file import SliceCache
from datasets.pairing import SliceFiles, find_slices
from datasets.stored import SliceFacts, StoredSlice, read_slice


def open_train(root: Path, limit_mib: int = 1) -> tuple[list[SliceFacts], SliceCache | None]:
    return open_cache(root, "train", find_slices(root, "train"), limit_mib)


def kept(root: Path) -> list[Path]:
    """All files under a folder for caches, drafts as well."""
    return sorted(path for path in root.rglob("*") if path.is_file())


def arrays(root: Path) -> list[Path]:
    """The arrays of all caches under a folder; their indices lie beside them, and nothing else."""
    files = kept(root)
    found = [path for path in files if path.suffix == ".bin"]
    assert files == sorted(found + [path.with_suffix(".json") for path in found])
    return found


def assert_holds(cache: SliceCache, slices: list[SliceFiles]) -> None:
    """The cache gives every slice as its files do."""
    for index, files in enumerate(slices):
        assert_same(cache.read(index), read_slice(files))


def assert_same(found: StoredSlice, expected: StoredSlice) -> None:
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
