"""The table of scores and the rows as CSV."""

import csv
import math
from pathlib import Path
from typing import Any

import pytest

from utils.tables import format_scores, write_rows

SUMMARY: dict[str, Any] = {
    "n": 40,
    "n_patients": 5,
    "dice": 0.81234,
    "sensitivity": 0.5,
    "precision": 1.0,
    "mae": 0.00456,
    "e_measure_mean": 0.98765,
    "s_measure": 0.0,
    "dice_nonempty": 0.7,
    "dice_pooled": 2 / 3,
    "sensitivity_pooled": 0.123456,
    "precision_pooled": 0.25,
    "num_empty_target": 7,
    "num_false_alarm": 3,
    "num_missed": 2,
    "empty_target": "zero",
    "threshold": 0.35,
    "image_size": [96, 128],
}


def cells(summary: dict[str, Any]) -> dict[str, list[str]]:
    """The figures of each row, by the row's label."""
    lines = format_scores(summary).splitlines()[1:4]
    return {line[:20].strip(): line[20:].split() for line in lines}


def test_the_figures_are_per_cent_with_two_decimals() -> None:
    assert cells(SUMMARY) == {
        "mean over slices": ["81.23", "50.00", "100.00", "0.46", "98.77", "0.00"],
        "slices with lesion": ["70.00", "-", "-", "-", "-", "-"],
        "pooled over pixels": ["66.67", "12.35", "25.00", "-", "-", "-"],
    }


def test_the_heads_stand_over_their_columns() -> None:
    head, *rows = format_scores(SUMMARY).splitlines()[:4]
    expected = ["Dice ↑", "Sens. ↑", "Prec. ↑", "MAE ↓", "E_phi ↑", "S_alpha ↑"]
    assert [head[start : start + 11].strip() for start in range(20, 86, 11)] == expected
    assert {len(line) for line in (head, *rows)} == {20 + 6 * 11}


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_a_score_that_is_not_defined_is_a_dash(nothing: float | None) -> None:
    mean = cells(SUMMARY | {"sensitivity": nothing})["mean over slices"]
    assert mean == ["81.23", "-", "100.00", "0.46", "98.77", "0.00"]


def test_a_score_that_was_not_taken_is_a_dash() -> None:
    summary = {key: value for key, value in SUMMARY.items() if key != "s_measure"}
    assert cells(summary)["mean over slices"][5] == "-"


def test_the_conventions_stand_under_the_figures() -> None:
    first, second = format_scores(SUMMARY).splitlines()[4:]
    assert "in %" in first
    assert "n = 40 slices of 5 patients" in first
    assert "96 x 128 px" in first
    assert "probability 0.35" in first
    assert "7 slices without lesion" in second
    assert "empty_target" in second
    assert "scores zero" in second
    assert "3 false alarms" in second
    assert "2 slices whose lesion was missed" in second


def test_rows_are_written_as_csv_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text("an older table\n" * 9)
    rows = [{"name": "a, b", "dice": 0.1 + 0.2}, {"name": "Köln", "dice": math.nan}]
    write_rows(path, rows)
    with path.open(newline="", encoding="utf-8") as stream:
        read = list(csv.DictReader(stream))
    assert [list(row) for row in read] == [["name", "dice"]] * 2
    assert [row["name"] for row in read] == ["a, b", "Köln"]
    assert float(read[0]["dice"]) == 0.1 + 0.2  # no digit is lost
    assert math.isnan(float(read[1]["dice"]))
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    write_rows(path, [{"name": "old"}])
    before = path.read_bytes()
    with pytest.raises(ValueError, match="fields not in fieldnames"):
        write_rows(path, [{"name": "new"}, {"name": "newer", "dice": 1}])
    assert path.read_bytes() == before
