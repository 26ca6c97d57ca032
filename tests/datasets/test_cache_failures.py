"""Where a cache cannot be kept, or is made twice at once, a run goes on unharmed."""

import errno
import os
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.cache_file import SliceCache
from datasets.inspection import inspect_slices
from datasets.pairing import SliceFiles
from datasets.stored import SliceFacts
from tests.datasets.caches import arrays, assert_holds, kept, open_train
from utils.errors import UserError


def test_a_root_that_cannot_be_written_is_cached_in_the_users_folder(
    mixed_root: Path,
    mixed_slices: list[SliceFiles],
    user_cache: Path,
    capsys: pytest.CaptureFixture[str],
    num_decoded: Callable[[], int],
) -> None:
    (mixed_root / ".cache").write_text("a file where the folder should be")
    _, cache = open_train(mixed_root)
    assert_holds(cache, mixed_slices)
    (path,) = arrays(user_cache)
    assert path.parent.parent == user_cache / "cosupervision"
    num_decoded()
    open_train(mixed_root)
    assert num_decoded() == 0
    assert capsys.readouterr().out == ""


def test_without_any_folder_the_run_goes_on_after_one_warning(
    mixed_root: Path,
    mixed_slices: list[SliceFiles],
    user_cache: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for path in (mixed_root / ".cache", user_cache):
        path.write_text("a file where the folder should be")
    facts, cache = open_train(mixed_root)
    assert cache is None
    assert inspect_slices(mixed_slices, facts=facts) == inspect_slices(mixed_slices)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("warning: data.cache_mib: no cache of train could be written (")


def test_a_disk_that_is_full_at_the_end_leaves_nothing_behind(
    mixed_root: Path,
    mixed_slices: list[SliceFiles],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    facts, cache = open_train(mixed_root)
    assert cache is None
    assert inspect_slices(mixed_slices, facts=facts) == inspect_slices(mixed_slices)
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert kept(mixed_root / ".cache") == []


def test_a_write_that_fails_midway_leaves_nothing_behind(
    mixed_root: Path, mixed_slices: list[SliceFiles], capsys: pytest.CaptureFixture[str]
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # bytes; all slices have more
    try:
        facts, cache = open_train(mixed_root)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert cache is None
    assert inspect_slices(mixed_slices, facts=facts) == inspect_slices(mixed_slices)
    assert "File too large" in capsys.readouterr().out
    assert kept(mixed_root / ".cache") == []
    assert open_train(mixed_root)[1] is not None


def test_an_index_that_cannot_be_written_leaves_no_array_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(100):  # 3,200 bytes of pixels, and a longer index
        for kind in ("image", "mask"):
            path = tmp_path / "train" / kind / f"p{index:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.zeros((2, 2), np.uint8))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    try:
        facts, cache = open_train(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert cache is None
    assert len(facts) == 100
    assert "File too large" in capsys.readouterr().out
    assert kept(tmp_path / ".cache") == []


def test_a_bad_slice_stops_the_run_and_leaves_nothing_behind(mixed_root: Path) -> None:
    path = mixed_root / "train/image/p4_z000.tif"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"p4_z000\.tif"):
        open_train(mixed_root)
    assert kept(mixed_root / ".cache") == []
    path.write_bytes(data)
    assert open_train(mixed_root)[1] is not None


def test_a_draft_goes_when_its_process_is_long_dead_and_stays_before(mixed_root: Path) -> None:
    folder = mixed_root / ".cache"
    folder.mkdir()
    fresh, old = folder / ".1.train-a.bin", folder / ".2.train-b.bin"
    for path in (fresh, old):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    open_train(mixed_root)
    assert fresh in kept(folder)
    assert old not in kept(folder)


@pytest.mark.parametrize("limits", [(1, 1, 1, 1), (1, 2, 3, 4)], ids=["alike", "different"])
def test_builders_at_the_same_time_do_not_hurt_each_other(
    limits: tuple[int, ...], mixed_root: Path, mixed_slices: list[SliceFiles]
) -> None:
    opened: list[tuple[list[SliceFacts], SliceCache | None]] = []
    start = threading.Barrier(len(limits))

    def build(limit_mib: int) -> None:
        start.wait()
        opened.append(open_train(mixed_root, limit_mib))

    threads = [threading.Thread(target=build, args=(limit,)) for limit in limits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == len(limits)
    for facts, cache in opened:
        assert inspect_slices(mixed_slices, facts=facts) == inspect_slices(mixed_slices)
        # Builders of another limit may remove a cache, even before it is opened.
        assert cache is not None or len(set(limits)) > 1
        if cache is not None:
            assert_holds(cache, mixed_slices)
    files = kept(mixed_root / ".cache")
    assert not any(path.name.startswith(".") for path in files)
    # Where one builder removes the array of another, the index of that one may come after.
    assert [path.suffix for path in files if path.suffix != ".json"] in ([".bin"], [])
    assert_holds(open_train(mixed_root)[1], mixed_slices)
