"""A cache is read only where it holds, and a run goes on where there is none."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.cache import open_cache
from datasets.inspection import inspect_slices
from datasets.pairing import SliceFiles, find_slices
from datasets.stored import read_slice, read_slices
from tests.datasets.caches import arrays, assert_holds, assert_same, open_train


def test_the_first_start_decodes_every_file_once_and_the_second_none(
    mixed_root: Path, mixed_slices: list[SliceFiles], num_decoded: Callable[[], int]
) -> None:
    facts, cache = open_train(mixed_root)
    num_files = len(list((mixed_root / "train").rglob("*.tif")))
    assert num_decoded() == num_files
    again, cache = open_train(mixed_root)
    assert inspect_slices(mixed_slices, facts=again) == inspect_slices(mixed_slices, facts=facts)
    assert [cache.read(index).image.shape for index in range(6)] == [fact.size for fact in facts]
    assert num_decoded() == 0
    assert inspect_slices(mixed_slices) == inspect_slices(mixed_slices, facts=facts)
    assert_holds(cache, mixed_slices)
    assert [path.parent for path in arrays(mixed_root / ".cache")] == [mixed_root / ".cache"]


def test_a_limit_of_0_keeps_nothing(mixed_root: Path, mixed_slices: list[SliceFiles]) -> None:
    facts, cache = open_train(mixed_root, limit_mib=0)
    assert cache is None
    assert inspect_slices(mixed_slices, facts=facts) == inspect_slices(mixed_slices)
    assert not (mixed_root / ".cache").exists()


@pytest.mark.parametrize("kind", ["image", "mask", "mask_", "lung"])
def test_a_file_with_new_pixels_and_the_old_size_and_time_is_noticed(
    kind: str, mixed_root: Path, mixed_slices: list[SliceFiles]
) -> None:
    open_train(mixed_root)
    (old,) = arrays(mixed_root / ".cache")
    path = mixed_root / "train" / kind / "p3_z000.tif"
    before, data = path.stat(), path.read_bytes()
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    with path.open("r+b") as file:  # the same inode: only ctime tells
        start = data.index(pixels.tobytes())
        file.seek(start)
        file.write(pixels[::-1].tobytes())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), pixels[::-1])
    _, cache = open_train(mixed_root)
    assert_holds(cache, mixed_slices)
    assert old not in arrays(mixed_root / ".cache")


def test_a_slice_more_or_less_is_noticed(mixed_root: Path) -> None:
    open_train(mixed_root)
    for kind in ("image", "mask", "mask_", "lung"):
        (mixed_root / "train" / kind / "p5_z000.tif").unlink()
    facts, cache = open_train(mixed_root)
    assert len(facts) == 5
    assert_holds(cache, find_slices(mixed_root, "train"))
    (mixed_root / "train/lung/p4_z000.tif").unlink()
    _, cache = open_train(mixed_root)
    assert cache.read(4).lung is None
    assert len(arrays(mixed_root / ".cache")) == 1


def test_caches_of_two_splits_stand_side_by_side(data_root: Path) -> None:
    for _ in range(2):
        for split in ("train", "val"):
            slices = find_slices(data_root, split)
            _, cache = open_cache(data_root, split, slices, 1)
            assert_holds(cache, slices)
    assert len(arrays(data_root / ".cache")) == 2


def test_no_more_slices_are_kept_than_the_limit_has_room_for(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 65535, (400, 500), np.uint16)
    for index in range(5):  # 400,000 bytes of image and 200,000 of mask: one MiB holds one
        for kind, pixels in {
            "image": noise + index,
            "mask": np.zeros(noise.shape, np.uint8),
        }.items():
            path = tmp_path / "train" / kind / f"p{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), pixels)
    slices = find_slices(tmp_path, "train")
    for limit_mib, count in ((1, 1), (2, 3), (3, 5)):
        facts, cache = open_train(tmp_path, limit_mib)
        assert cache.num_cached == count
        assert [cache.read(index) is not None for index in range(5)] == [
            index < count for index in range(5)
        ]
        assert_same(cache.read(0), read_slice(slices[0]))
        (path,) = arrays(tmp_path / ".cache")  # that of the former limit is gone
        assert path.stat().st_size < limit_mib * 2**20
        assert len(facts) == 5


def test_a_pass_over_a_split_holds_few_slices_at_a_time(
    tmp_path: Path, num_decoded: Callable[[], int]
) -> None:
    for index in range(100):
        for kind in ("image", "mask"):
            path = tmp_path / "train" / kind / f"p{index:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.zeros((8, 8), np.uint8))
    passing = read_slices(find_slices(tmp_path, "train"))
    next(passing)
    time.sleep(0.2)  # what the threads have to do is done
    assert num_decoded() <= 2 * 40
    assert len(list(passing)) == 99


@pytest.mark.parametrize("suffix", [".bin", ".json"])
def test_a_damaged_file_is_built_anew(
    suffix: str,
    mixed_root: Path,
    mixed_slices: list[SliceFiles],
    capsys: pytest.CaptureFixture[str],
) -> None:
    open_train(mixed_root)
    (array,) = arrays(mixed_root / ".cache")
    path = array.with_suffix(suffix)
    data = path.read_bytes()
    for damaged in (data[:-3], data[:100], b"", data[:-30] + b"\0" + data[-30:]):
        path.write_bytes(damaged)
        _, cache = open_train(mixed_root)
        assert_holds(cache, mixed_slices)
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"warning: {array}: ")
        assert "building it anew" in line
        assert path.read_bytes() == data


@pytest.mark.parametrize("suffix", [".bin", ".json"])
def test_one_of_two_files_is_no_cache(
    suffix: str, mixed_root: Path, mixed_slices: list[SliceFiles]
) -> None:
    open_train(mixed_root)
    (array,) = arrays(mixed_root / ".cache")
    array.with_suffix(suffix).unlink()
    _, cache = open_train(mixed_root)
    assert_holds(cache, mixed_slices)
    assert arrays(mixed_root / ".cache") == [array]


def test_a_cache_of_other_files_under_this_name_is_not_believed(
    mixed_root: Path, mixed_slices: list[SliceFiles]
) -> None:
    open_train(mixed_root, limit_mib=2)
    (other,) = arrays(mixed_root / ".cache")
    open_train(mixed_root, limit_mib=1)
    (path,) = arrays(mixed_root / ".cache")
    data = {suffix: path.with_suffix(suffix).read_bytes() for suffix in (".bin", ".json")}
    open_train(mixed_root, limit_mib=2)
    for suffix, content in data.items():
        other.with_suffix(suffix).write_bytes(content)
    _, cache = open_train(mixed_root, limit_mib=2)
    assert other.with_suffix(".json").read_bytes() != data[".json"]
    assert_holds(cache, mixed_slices)
