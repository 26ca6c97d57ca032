"""A small sweep and its runs, trained once."""

import sys
from pathlib import Path

import pytest

from sweeps.launch import make_tasks
from sweeps.plan import Run, plan_sweep
from sweeps.record import fingerprint_data
from sweeps.specification import Sweep, read_sweep
from sweeps.worker import main
from tests.conftest import write_slices

SWEEP = """
title: Two networks
source: a paper
table: table 9
baseline: plain
metrics: [dice, mae]
base:
  set: {loss.function: own, model.args.width: 4, model.args.depth: 18}
tiny:
  data: [slices]
rows:
  plain:
    title: Plain
    set: {model.args.edge_stages: [], model.args.semantic_stages: [], model.args.fusion: none}
    printed: {dice: [85.96, 0.03]}
  fused:
    title: Fused
    printed: {dice: [89.93, 0.09]}
"""
OVERRIDES = ("training.device=cpu", "data.num_workers=0")


def write_sweep(path: Path, text: str = SWEEP) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def plan(path: Path, root: Path, out: Path) -> tuple[Sweep, list[Run]]:
    sweep = read_sweep(path)
    roots = {"slices": root}
    return sweep, plan_sweep(path.stem, sweep, "tiny", out=out, roots=roots, overrides=OVERRIDES)


def work(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's worker in this process."""
    root = run.config.data.root
    (task,) = make_tasks([run], {root: fingerprint_data(Path(root))}, threads=1)
    monkeypatch.setattr(sys, "argv", ["worker", *task.command[2:]])
    main()


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    return write_sweep(tmp_path / "two.yaml")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The file of the sweep, its data and its run folders: both rows finished."""
    place = tmp_path_factory.mktemp("sweep")
    for seed, (split, count) in enumerate({"train": 8, "val": 4, "test": 4}.items()):
        write_slices(place / "data", split, count, seed=seed)
    file = write_sweep(place / "two.yaml")
    with pytest.MonkeyPatch.context() as monkeypatch:
        for run in plan(file, place / "data", place / "runs")[1]:
            work(run, monkeypatch)
    return file, place / "data", place / "runs"
