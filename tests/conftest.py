"""Small data sets, and the entry scripts as a user runs them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def write_slices(root: Path, split: str, count: int, size: int = 64, seed: int = 0) -> None:
    """Noisy slices with a bright disc as the lesion; the last one has none."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    for kind in ("image", "mask"):
        (root / split / kind).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        row, column = generator.uniform(size * 0.3, size * 0.7, 2)
        radius = size * generator.uniform(0.12, 0.22)
        mask = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        mask &= index < count - 1
        image = 60 + 90 * mask + generator.normal(0, 8, mask.shape)
        name = f"{split}{index // 2:02d}_z{index:03d}.png"
        cv2.imwrite(str(root / split / "image" / name), image.clip(0, 255).astype(np.uint8))
        cv2.imwrite(str(root / split / "mask" / name), mask.astype(np.uint8) * 255)


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """A data folder with 8 training, 4 validation and 4 test slices of 64 x 64 px."""
    root = tmp_path / "data"
    for seed, (split, count) in enumerate({"train": 8, "val": 4, "test": 4}.items()):
        write_slices(root, split, count, seed=seed)
    return root


@pytest.fixture
def small_settings(data_root: Path, tmp_path: Path) -> list[str]:
    """--set pairs of a run that takes seconds."""
    pairs = {
        "data.root": data_root,
        "data.image_size": 64,
        "data.num_workers": 0,
        "model.args.width": 4,
        "model.args.depth": 18,
        "optimizer.learning_rate": "1e-2",
        "training.epochs": 2,
        "training.batch_size": 4,
        "training.device": "cpu",
        "logging.image_every": 0,
        "checkpoint.save_dir": tmp_path / "runs",
    }
    return [part for key, value in pairs.items() for part in ("--set", f"{key}={value}")]


@pytest.fixture
def run_script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run an entry script in a process of its own."""

    def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(REPOSITORY / script), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    return run
