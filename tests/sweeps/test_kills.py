"""sweep.py killed at any moment, launcher or worker, and started again: --jobs 2 and Ray."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweeps.plan import Run
from sweeps.record import read_record
from tests.conftest import REPOSITORY
from tests.sweeps.conftest import OVERRIDES, SWEEP, plan, write_sweep
from utils.files import read_rows

pytestmark = pytest.mark.slow


@pytest.fixture
def command(data_root: Path, tmp_path: Path) -> list[str]:
    text = SWEEP.replace("[slices]", "[slices]\n  seeds: [2, 3, 4]\n  set: {training.epochs: 3}")
    file = write_sweep(tmp_path / "two.yaml", text)
    sets = [part for pair in OVERRIDES for part in ("--set", pair)]
    places = ["--data", f"slices={data_root}", "--out", tmp_path / "runs", "--results", tmp_path]
    command = [sys.executable, REPOSITORY / "sweep.py", file, "--size", "tiny", "--jobs", "2"]
    return [*map(str, command), *map(str, places), *sets]


def runs_of(command: list[str], tmp_path: Path) -> list[Run]:
    root = command[command.index("--data") + 1].partition("=")[2]
    return plan(tmp_path / "two.yaml", Path(root), tmp_path / "runs")[1]


def finished_since(runs: list[Run]) -> dict[str, int]:
    """When each finished run was finished."""
    records = {run.name: run.folder.path / "record.json" for run in runs}
    return {
        run.name: records[run.name].stat().st_mtime_ns
        for run in runs
        if (record := read_record(run.folder)) and record.is_finished
    }


def children_of(process: int) -> list[int]:
    path = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in path.read_text().split()] if path.is_file() else []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("engine", "who"),
    [*(("local", who) for who in ("launcher", "all", "worker", "asked")), ("ray", "all")],
)
def test_killed_anywhere_nothing_is_repeated_lost_or_doubled(
    engine: str, who: str, command: list[str], tmp_path: Path
) -> None:
    if engine == "ray":
        pytest.importorskip("ray", reason="pip install -r requirements-cluster.txt")
    command = [*command, "--engine", engine]
    dice = random.Random(who)
    runs, former = runs_of(command, tmp_path), {}
    for _ in range(3):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.uniform(4, 25))
        victims = {
            "launcher": [process.pid],
            "asked": [process.pid],
            "all": [process.pid, *children_of(process.pid)],
            "worker": children_of(process.pid)[:1],
        }[who]
        for victim in victims:
            os.kill(victim, signal.SIGTERM if who == "asked" else signal.SIGKILL)
        process.wait(timeout=600)
        now = finished_since(runs)
        assert former.items() <= now.items()
        former = now
    last = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert last.returncode == 0, last.stderr
    now = finished_since(runs)
    assert former.items() <= now.items()
    assert len(now) == len(runs) == 6
    rows = read_rows(tmp_path / "two_tiny.csv")
    assert {(r["row"], r["seed"]) for r in rows} == {(r.row, str(r.seed)) for r in runs}
    assert len(rows) == 6
    for run in runs:
        epochs = (run.folder.path / "sweep.log").read_text().count("best validation Dice")
        assert epochs >= 1
    again = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert "6 runs, 6 finished before" in again.stdout
    assert finished_since(runs) == now


def test_a_run_that_fails_does_not_stop_the_rest(command: list[str], tmp_path: Path) -> None:
    runs = runs_of(command, tmp_path)
    broken = runs[0].folder.path
    broken.mkdir(parents=True)
    (broken / "last.pt").write_bytes(b"no checkpoint")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert ended.returncode == 1
    assert ended.stderr.strip() == "error: 1 run failed: two plain slices seed2"
    assert "last.pt" in ended.stdout  # the tail of its log
    assert len(finished_since(runs)) == 5
