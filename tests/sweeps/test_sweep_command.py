"""sweep.py as a user gives it, on runs that are finished."""

import csv
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from datasets.pairing import find_slices
from tests.sweeps.conftest import OVERRIDES

Trained = tuple[Path, Path, Path]


@pytest.fixture
def arguments(trained: Trained, tmp_path: Path) -> list[str | Path]:
    """Of the finished sweep, in a folder of the test's own."""
    file, data, out = trained
    copytree(out, tmp_path / "runs")
    sets = [part for pair in OVERRIDES for part in ("--set", pair)]
    places = ["--data", f"slices={data}", "--out", tmp_path / "runs", "--results", tmp_path]
    return [file, "--size", "tiny", *places, *sets]


def test_a_finished_sweep_starts_nothing_and_writes_its_rows(
    arguments: list[str | Path], run_script: Callable, tmp_path: Path
) -> None:
    done = run_script("sweep.py", *arguments, "--tables")
    assert done.code == 0, done.err
    assert done.out.splitlines()[:3] == [
        "2 runs, 2 finished before",
        f"results  {tmp_path / 'two_tiny.csv'}",
        "2 of 2 runs finished",
    ]
    with (tmp_path / "two_tiny.csv").open() as stream:
        assert [row["row"] for row in csv.DictReader(stream)] == ["plain", "fused"]
    assert (tmp_path / "tables.html").is_file()


def test_a_second_annotator_becomes_a_row(
    trained: Trained, arguments: list[str | Path], run_script: Callable, tmp_path: Path
) -> None:
    (tmp_path / "second").mkdir()
    for entry in find_slices(trained[1], "test"):
        (tmp_path / "second" / entry.mask.name).write_bytes(entry.mask.read_bytes())
    done = run_script("sweep.py", *arguments, "--second-masks", f"slices={tmp_path / 'second'}")
    assert done.code == 0, done.err
    with (tmp_path / "two_tiny.csv").open() as stream:
        rows = {row["row"]: row for row in csv.DictReader(stream)}
    assert float(rows["second_annotator"]["dice"]) == 1.0  # it has drawn the same
    assert rows["second_annotator"]["seed"] == ""


def test_a_dry_run_shows_the_plan_with_its_time_and_starts_nothing(
    arguments: list[str | Path], run_script: Callable, tmp_path: Path
) -> None:
    finished = run_script("sweep.py", *arguments, "--dry-run")
    assert finished.code == 0, finished.err
    assert "2 runs, 0 to run; by a measured step at most 0.0 min" in finished.out
    assert "two plain slices seed2  finished" in finished.out
    elsewhere = tmp_path / "elsewhere"
    planned = run_script("sweep.py", *arguments, "--out", elsewhere, "--dry-run", "--jobs", 2)
    assert planned.code == 0, planned.err
    assert "two fused slices seed2" in planned.out
    assert "2 runs, 2 to run; by a measured step at most " in planned.out
    assert "with --jobs 2" in planned.out
    assert not elsewhere.exists()


def test_some_rows_are_run_alone_and_the_others_stay_in_the_csv(
    arguments: list[str | Path], run_script: Callable, refused: Callable, tmp_path: Path
) -> None:
    assert run_script("sweep.py", *arguments).code == 0
    done = run_script("sweep.py", *arguments, "--rows", "fused")
    assert done.code == 0, done.err
    assert done.out.startswith("1 run, 1 finished before")
    with (tmp_path / "two_tiny.csv").open() as stream:
        assert [row["row"] for row in csv.DictReader(stream)] == ["plain", "fused"]
    elsewhere = [*arguments, "--out", tmp_path / "elsewhere", "--dry-run"]
    planned = run_script("sweep.py", *elsewhere, "--rows", "plain")
    assert "1 run, 1 to run" in planned.out
    assert "fused" not in planned.out
    unknown = run_script("sweep.py", *arguments, "--rows", "plain,fusd")
    refused(unknown, "--rows fusd", "did you mean fused?", "plain, fused")
    nameless = run_script("sweep.py", *arguments, "--rows", "plain,")
    assert nameless.code == 2
    assert "write rows as unet,resunet" in nameless.err.splitlines()[-1]


def test_other_data_under_a_finished_sweep_is_refused(
    arguments: list[str | Path], run_script: Callable, refused: Callable, data_root: Path
) -> None:
    (data_root / "more.txt").write_text("more")
    arguments[arguments.index("--data") + 1] = f"slices={data_root}"
    refused(run_script("sweep.py", *arguments), "was run on other data than", str(data_root))
