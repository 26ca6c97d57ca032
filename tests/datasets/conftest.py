"""Slices of every kind of file, and a count of what is decoded."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.pairing import SliceFiles, find_slices


@pytest.fixture
def mixed_root(tmp_path: Path) -> Path:
    """Six training slices of 8 and 16 bits and of several sizes; some with edge and lung."""
    root, generator = tmp_path / "mixed", np.random.default_rng(8)
    for index in range(6):
        shape = (40 + 8 * index, 60)
        top, dtype = (65535, np.uint16) if index % 3 == 1 else (255, np.uint8)
        images = {"image": generator.integers(0, top, shape, dtype)}
        for kind, is_there in {"mask": True, "mask_": index % 2, "lung": index > 2}.items():
            if is_there:
                smooth = cv2.GaussianBlur(generator.normal(size=shape), (0, 0), 5)
                images[kind] = (smooth > 0).astype(np.uint8) * 255
        for kind, pixels in images.items():
            path = root / "train" / kind / f"p{index}_z000.tif"  # its size tells nothing
            path.parent.mkdir(parents=True, exist_ok=True)
            parameters = [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_NONE]
            assert cv2.imwrite(str(path), pixels, parameters)
    return root


@pytest.fixture
def mixed_slices(mixed_root: Path) -> list[SliceFiles]:
    return find_slices(mixed_root, "train")


@pytest.fixture
def num_decoded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many images OpenCV has decoded in this process since the last question."""
    count, decode = [0], cv2.imdecode

    def imdecode(*arguments: object) -> object:
        count[0] += 1
        return decode(*arguments)

    def take() -> int:
        taken, count[0] = count[0], 0
        return taken

    monkeypatch.setattr(cv2, "imdecode", imdecode)
    return take


@pytest.fixture(autouse=True)
def user_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home_cache"))
    return tmp_path / "home_cache"
