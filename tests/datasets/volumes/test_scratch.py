"""Room for memory maps."""

import os
from pathlib import Path

import numpy as np
import pytest

from datasets.volumes import Volume, write_nifti
from datasets.volumes.scratch import release_pages, reserve, scratch_array


@pytest.mark.parametrize("has_fallocate", [True, False])
def test_reserved_bytes_have_their_blocks_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_fallocate: bool
) -> None:
    if not has_fallocate:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    with (tmp_path / "file").open("w+b") as stream:
        reserve(stream, 3_000_001)
        status = os.fstat(stream.fileno())
        assert status.st_size == 3_000_001
        assert status.st_blocks * 512 >= 3_000_001
        stream.seek(0)
        assert not any(stream.read())


def test_scratch_holds_what_is_written_to_it(tmp_path: Path) -> None:
    with scratch_array(tmp_path, (3, 4, 5), np.float32) as array:
        assert not array.any()
        array[1] = 7
        release_pages(array[::-1].transpose(2, 0, 1))
        assert array.sum() == 7 * 20


def test_an_array_in_memory_is_left_alone() -> None:
    array = np.ones((2, 3))
    release_pages(array[:1])
    assert array.all()


def test_a_volume_has_its_blocks_before_it_is_written_to(tmp_path: Path) -> None:
    volume = Volume("phantom", tmp_path, np.zeros((80, 80, 80), np.uint8), np.eye(4))
    with write_nifti(tmp_path / "copy.nii", volume, np.float32):
        (partial,) = tmp_path.iterdir()
        assert partial.stat().st_blocks * 512 >= 80**3 * 4
