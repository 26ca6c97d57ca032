"""Every sweep of the project from end to end at its tiny size, on synthetic CT."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from datasets.synthetic.generate import write_synthetic_set
from preparation.commands.by_slice import deal_out
from preparation.few_labels import Labels, write_few_labels
from sweeps.pages import build_tables
from sweeps.specification import SWEEPS, list_sweeps, read_sweep
from sweeps.summary import read_results
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow
DATA = ("synthetic", "synthetic_other", "synthetic_by_slice", "synthetic_1")
_PATIENTS = {"train": 2, "val": 1, "test": 1}


def test_the_tiny_sweeps_of_all_tables_run_and_fill_their_tables(tmp_path: Path) -> None:
    for seed, name in enumerate(("synthetic", "synthetic_other")):
        write_synthetic_set(
            tmp_path / name,
            seed=seed,
            num_patients=_PATIENTS,
            num_slices=4,
            image_size=64,
            min_severity=0.6,
        )
    write_few_labels(tmp_path / "synthetic", tmp_path / "synthetic_1", Labels("patient", 1, 0))
    deal_out(tmp_path / "synthetic", tmp_path / "synthetic_by_slice", 0)
    files = [SWEEPS / f"{name}.yaml" for name in list_sweeps()]
    places = [f"{name}={tmp_path / name}" for name in DATA]
    arguments = ["--size", "tiny", "--jobs", "2", "--out", tmp_path / "runs"]
    arguments += ["--results", tmp_path, *(part for place in places for part in ("--data", place))]
    command = [sys.executable, REPOSITORY / "sweep.py", *files, *arguments]
    start = time.perf_counter()
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    print(f"{(time.perf_counter() - start) / 60:.1f} min")
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr
    for name in list_sweeps():
        sweep = read_sweep(SWEEPS / f"{name}.yaml")
        rows = read_results(tmp_path / f"{name}_tiny.csv", sweep)
        assert {row["row"] for row in rows} == set(sweep.rows)
    tables = build_tables(tmp_path)
    assert len(tables) == len(files)
    for table in tables:
        assert all(row[table.num_words].text for row in table.rows), table.name
