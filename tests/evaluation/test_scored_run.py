"""What is read back of a scored run, and which files are refused."""

import math
import re
from pathlib import Path

import pytest
from scored_runs import make_rows, write_run

from evaluation.scored_run import read_scored_run
from utils.errors import UserError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder."""
    return write_run(tmp_path / "run", make_rows(1))


def refused(path: Path, *parts: str) -> None:
    with pytest.raises(UserError) as error:
        read_scored_run(path)
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_metrics_conventions_and_cases_are_read(run: Path) -> None:
    found = read_scored_run(run)
    assert found.keys == ["mae", "dice", "hd95"]  # of the summary that are columns, in its order
    assert found.conventions == {
        **{"protocol": "native", "threshold": 0.5, "empty_target": "one"},
        **{"distance_unit": "mm", "surface_tolerance": 3.0, "scored_at": [64, 64]},
    }
    assert found.cases == {
        (row["name"], row["patient"]): {key: row[key] for key in found.keys} for row in make_rows(1)
    }


@pytest.mark.parametrize("nothing", [math.nan, None], ids=["nan", "empty cell"])
def test_an_undefined_metric_is_nan(tmp_path: Path, nothing: float | None) -> None:
    rows = make_rows(1)
    rows[4]["hd95"] = nothing
    found = read_scored_run(write_run(tmp_path / "run", rows))
    nans = [case for case, values in found.cases.items() if math.isnan(values["hd95"])]
    assert nans == [("p1_z004", "p1")]


@pytest.mark.parametrize("name", ["metrics.json", "per_case.csv", "best.pt"])
def test_a_file_stands_for_its_folder(run: Path, name: str) -> None:
    (run / "best.pt").touch()
    assert read_scored_run(run / name) == read_scored_run(run)


@pytest.mark.parametrize("name", ["metrics.json", "per_case.csv"])
def test_a_run_without_scores_is_refused(run: Path, name: str) -> None:
    (run / name).unlink()
    refused(run, str(run), "no scores", name, "run test.py first")
    refused(run.parent / "nowhere", "nowhere", "no scores")


@pytest.mark.parametrize(
    ("pattern", "new", "parts"),
    [
        ("name,patient", "name,who", ("line 1", "name and patient")),
        ("p0_z001,p0,[^,]+", "p0_z001,p0,much", ("line 3", "dice is 'much'", "no number")),
        ("p0_z001,p0,[^,]+", "p0_z001,p0,inf", ("line 3", "dice is 'inf'", "no number")),
        ("p0_z001,p0,", "p0_z001,p0,1,", ("line 3", "not one cell per column")),
        ("p0_z001,p0,", "p0_z001,", ("line 3", "not one cell per column")),
        ("p0_z001,p0,", "p0_z000,p0,", ("line 3", "p0_z000 for the second time")),
        ("p0_z001,p0,", '"p0_z001"x,p0,', ("cannot be read",)),
    ],
)
def test_a_damaged_table_is_refused(run: Path, pattern, new, parts) -> None:
    path = run / "per_case.csv"
    path.write_text(re.sub(pattern, new, path.read_text()))
    refused(run, str(path), *parts, "run test.py again")


def test_a_truncated_or_unreadable_table_is_refused(run: Path) -> None:
    path = run / "per_case.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:8]))
    refused(run, f"{path}: 7 cases, where metrics.json counts 12")
    path.write_bytes(b"\xff\xfe" + b"".join(lines))
    refused(run, f"{path}: cannot be read")
    path.write_bytes(b"")
    refused(run, f"{path}, line 1")


@pytest.mark.parametrize("text", ["", "[1, 2]", '{"n": 12'])
def test_damaged_means_are_refused(run: Path, text: str) -> None:
    (run / "metrics.json").write_text(text)
    refused(run, str(run / "metrics.json"), "run test.py again")


def test_a_summary_that_is_nested_without_end_is_refused(run: Path) -> None:
    (run / "metrics.json").write_text("[" * 100_000)
    refused(run, "metrics.json", "nested too deeply", "run test.py again")
