"""Cached slices are the files' own, bit for bit, or they are not given at all."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.batches import OrderedBatches, SeededBatches, create_loader
from datasets.cache import open_cache
from datasets.cache_file import DamagedCacheError, SliceCache
from datasets.inspection import inspect_slices
from datasets.pairing import SliceFiles
from datasets.slices import SliceDataset
from datasets.stored import read_slice
from datasets.transforms import Augmentation, SliceTransform

AUGMENTATION = Augmentation(horizontal_flip=0.5, rotation=20, brightness=0.2, noise=0.1)


@pytest.fixture
def cache(mixed_root: Path, mixed_slices: list[SliceFiles]) -> SliceCache:
    return open_cache(mixed_root, "train", mixed_slices, 1)[1]


def create_dataset(slices: list[SliceFiles], cache: SliceCache | None) -> SliceDataset:
    facts = None if cache is None else cache.facts
    encoding = inspect_slices(slices, facts=facts).encoding
    return SliceDataset(slices, encoding, SliceTransform((32, 48), AUGMENTATION), 2, cache=cache)


def load(dataset: SliceDataset, num_workers: int, epochs: int = 2) -> list[dict]:
    batches = SeededBatches(len(dataset), 2, seed=3)
    loader = create_loader(dataset, batches, num_workers=num_workers)
    loaded = []
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        loaded += list(loader)
    return loaded


def assert_equal(first: list[dict], second: list[dict]) -> None:
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        for key in ("image", "mask", "edge", "lung", "has_lung"):
            assert torch.equal(one[key], other[key]), key
        assert one["name"] == other["name"]


def test_arrays_are_those_of_the_files_and_read_only(
    cache: SliceCache, mixed_slices: list[SliceFiles]
) -> None:
    kinds = set()
    for index, files in enumerate(mixed_slices):
        for found, expected in zip(cache.read(index), read_slice(files), strict=True):
            assert (found is None) == (expected is None)
            if found is not None:
                kinds.add(found.dtype.name)
                assert found.dtype == expected.dtype
                np.testing.assert_array_equal(found, expected)
                with pytest.raises(ValueError, match="read-only"):
                    found[0, 0] = 1
    assert kinds == {"uint8", "uint16"}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_are_the_same_with_and_without_a_cache(
    num_workers: int, cache: SliceCache, mixed_slices: list[SliceFiles]
) -> None:
    plain = load(create_dataset(mixed_slices, None), num_workers)
    assert_equal(load(create_dataset(mixed_slices, cache), num_workers), plain)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_every_process_reads_the_cache_and_no_file(
    num_workers: int, cache: SliceCache, mixed_slices: list[SliceFiles]
) -> None:
    plain = load(create_dataset(mixed_slices, None), 0)
    for path in {path for files in mixed_slices for path in files[2:] if path}:
        path.unlink()
    assert_equal(load(create_dataset(mixed_slices, cache), num_workers), plain)


def test_a_copy_in_another_process_opens_the_file_again(
    cache: SliceCache, mixed_slices: list[SliceFiles]
) -> None:
    cache.read(0)
    pickled = pickle.dumps(create_dataset(mixed_slices, cache))
    assert len(pickled) < cache.path.stat().st_size / 2  # no pixels
    copy = pickle.loads(pickled)
    plain = create_dataset(mixed_slices, None)
    batches = [
        list(create_loader(dataset, SeededBatches(6, 2, seed=1), num_workers=0))
        for dataset in (copy, plain)
    ]
    assert_equal(*batches)
    assert copy.cache.path == cache.path


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc")
def test_reading_opens_no_more_files(cache: SliceCache) -> None:
    cache.read(0)
    num_open = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        assert all(cache.read(index) is not None for index in range(6))
    assert len(os.listdir("/proc/self/fd")) == num_open


def test_a_flipped_bit_anywhere_gives_the_files_pixels_and_one_warning(
    cache: SliceCache, mixed_slices: list[SliceFiles], capsys: pytest.CaptureFixture[str]
) -> None:
    plain, data = load(create_dataset(mixed_slices, None), 0), cache.path.read_bytes()
    num_lost = 0
    for position in range(7, len(data), 4999):
        damaged = bytearray(data)
        damaged[position] ^= 1
        cache.path.write_bytes(damaged)
        opened = SliceCache(cache.path)
        num_lost += sum(opened.read(index) is None for index in range(6))
        capsys.readouterr()
        opened = SliceCache(cache.path)
        assert_equal(load(create_dataset(mixed_slices, opened), 0), plain)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) <= 1
        assert all(line.startswith(f"warning: {cache.path}: damaged at byte") for line in lines)
    assert num_lost >= 6  # a bit of the padding between images matters to none


def test_a_file_that_is_cut_off_during_a_run_gives_the_files_pixels_and_one_warning(
    cache: SliceCache, mixed_slices: list[SliceFiles], capsys: pytest.CaptureFixture[str]
) -> None:
    plain = load(create_dataset(mixed_slices, None), 0)
    dataset = create_dataset(mixed_slices, cache)
    copy = pickle.loads(pickle.dumps(dataset))  # opens the file after its end is lost
    os.truncate(cache.path, 4096)
    for damaged in (dataset, copy):
        assert_equal(load(damaged, 0), plain)
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"warning: {cache.path}: bytes are missing")


def test_a_file_that_is_removed_during_a_run_is_no_loss(
    cache: SliceCache, mixed_slices: list[SliceFiles], capsys: pytest.CaptureFixture[str]
) -> None:
    plain = load(create_dataset(mixed_slices, None), 0)
    dataset = create_dataset(mixed_slices, cache)
    copy = pickle.loads(pickle.dumps(dataset))
    cache.path.unlink()
    assert_equal(load(dataset, 0), plain)  # what is mapped stays
    assert capsys.readouterr().out == ""
    assert_equal(load(copy, 0), plain)
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("suffix", [".bin", ".json"])
def test_a_file_cut_off_at_any_byte_is_refused(suffix: str, cache: SliceCache) -> None:
    path = cache.path.with_suffix(suffix)
    data = path.read_bytes()
    for length in [*range(0, len(data), 997), *range(len(data) - 100, len(data))]:
        path.write_bytes(data[:length])
        with pytest.raises(DamagedCacheError):
            SliceCache(cache.path)


def test_an_index_with_any_one_byte_changed_is_refused(cache: SliceCache) -> None:
    path = cache.path.with_suffix(".json")
    data = path.read_bytes()
    assert len(data) > 300
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(DamagedCacheError):
            SliceCache(cache.path)


def test_bytes_missing_among_the_arrays_are_noticed(cache: SliceCache) -> None:
    data = cache.path.read_bytes()
    cache.path.write_bytes(data[:100] + data[116:])
    with pytest.raises(DamagedCacheError, match="missing"):
        SliceCache(cache.path)


def test_evaluation_reads_the_cache_too(cache: SliceCache, mixed_slices: list[SliceFiles]) -> None:
    loaded = []
    for kept in (cache, None):
        dataset = create_dataset(mixed_slices, kept)
        dataset.transform = SliceTransform((32, 48))
        loaded.append(list(create_loader(dataset, OrderedBatches(6, 4), num_workers=0)))
    assert_equal(*loaded)
