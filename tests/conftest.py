"""Small data sets, and the entry scripts as a user runs them."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch

from tests.training.process_pair import ProcessPair
from utils.cli import run_main

# The tests run in several processes: one thread each, or they wait for each other.
torch.set_num_threads(1)

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The same random numbers in every run, whatever was tested before."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def process_pair() -> Iterator[ProcessPair]:
    """Two processes that form a group."""
    pair = ProcessPair()
    yield pair
    pair.close()


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
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversions leave montage and page blank: drawing takes seconds and has tests of its own."""
    for function in ("montage.write_montage", "page.write_page"):
        monkeypatch.setattr(f"preparation.overview.{function}", lambda path, *_: path.touch())


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


class Finished(NamedTuple):
    """How a script ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run_script(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Finished]:
    """Run an entry script's command line in this process, as its __main__ block does."""

    def run(script: str, *arguments: str | Path) -> Finished:
        spec = importlib.util.spec_from_file_location(f"entry_{script[:-3]}", REPOSITORY / script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            run_main(module.main)
        except SystemExit as end:
            code = end.code or 0
        return Finished(code, *capsys.readouterr())

    return run


@pytest.fixture
def refused() -> Callable[[Finished, str], None]:
    """Check that a script ended as for a user's mistake: code 2, one clear line, no traceback."""

    def check(finished: Finished, *parts: str) -> None:
        assert finished.code == 2, finished
        lines = finished.err.strip().splitlines()
        assert len(lines) == 1, finished.err
        assert lines[0].startswith("error: ")
        for part in parts:
            assert part in lines[0]

    return check
