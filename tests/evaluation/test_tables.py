"""The tables of scores with their conventions, and rows as CSV."""

import csv
import math
from pathlib import Path
from typing import Any

import pytest

from evaluation.tables import conventions, format_scores, score_tables
from utils.files import write_rows

SUMMARY: dict[str, Any] = {
    "protocol": "cosup",
    "n": 40,
    "n_patients": 15,
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
    "scored_at": [96, 128],
    "intervals": {"dice": [0.75, 0.875], "mae": None},
    "interval_unit": "patient",
    "interval_level": 0.95,
    "num_resamples": 9999,
}
LESIONS = {
    "num_lesions": 90,
    "num_lesions_found": 60,
    "num_pred_lesions": 70,
    "num_pred_lesions_false": 10,
    "volume_error_patient": 0.125,
}
NATIVE = (
    SUMMARY
    | LESIONS
    | {
        "protocol": "native",
        "hd95": 12.345,
        "surface_dice": 0.5,
        "volume_error": -0.25,
        "intervals": {"hd95": [1.0, 20.5]},
        "distance_unit": "mm",
        "surface_tolerance": 3.0,
    }
)


def texts(summary: dict[str, Any], number: int = 0) -> dict[str, list[str]]:
    """The figures of each row, by the row's label."""
    return {label: [c.text for c in cells] for label, cells in score_tables(summary)[number].rows}


def test_fractions_are_per_cent_with_two_decimals() -> None:
    assert texts(SUMMARY) == {
        "mean over slices": ["81.23", "50.00", "100.00", "0.46", "98.77", "0.00"],
        "slices with lesion": ["70.00", "-", "-", "-", "-", "-"],
        "pooled over pixels": ["66.67", "12.35", "25.00", "-", "-", "-"],
    }


def test_distances_are_in_their_unit_and_errors_signed() -> None:
    table = score_tables(NATIVE)[1]
    shown = dict(zip(table.heads, table.rows[0][1], strict=True))
    assert shown["HD95 ↓ mm"] == ("12.35", "1.00–20.50")
    assert shown["Surf. Dice ↑"] == ("50.00", "")
    assert shown["Vol. error →0"] == ("-25.00", "")
    assert len(table.rows) == 1  # nothing is known of the other two rows


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_a_score_that_is_not_defined_is_a_dash(nothing: float | None) -> None:
    mean = texts(SUMMARY | {"sensitivity": nothing})["mean over slices"]
    assert mean == ["81.23", "-", "100.00", "0.46", "98.77", "0.00"]


def test_heads_and_intervals_stand_over_and_under_their_scores() -> None:
    head, mean, interval, *_ = format_scores(SUMMARY).splitlines()
    end = head.index("Dice ↑") + len("Dice ↑")
    assert mean[:end].endswith(" 81.23")
    assert interval.strip() == "75.00–87.50"
    assert interval[:end].endswith("75.00–87.50")
    assert len(head) == len(mean)
    assert interval == interval.rstrip()


def test_the_conventions_stand_under_the_table() -> None:
    text = "\n".join(conventions(SUMMARY))
    assert text in format_scores(SUMMARY)
    for part in (
        "protocol cosup: network size",
        "n = 40 slices of 15 patients, scored at 96 x 128 px, lesion from probability 0.35",
        "7 slices without lesion (empty_target: a blank prediction there scores zero)",
        "false alarms on 3 of them; 2 slices whose lesion was missed whole",
        "95 % interval (percentile bootstrap by patient, 9,999 draws)",
    ):
        assert part in text
    assert "too narrow" not in text


def test_lesions_volumes_and_distances_have_their_own_words() -> None:
    text = "\n".join(conventions(NATIVE))
    assert "distances in mm, tolerance of Surf. Dice 3 mm" in text
    assert "60 of 90 lesions found, 10 of 70 predicted lesions false" in text
    assert "error of a patient's lesion volume 12.50 %" in text


def test_slices_without_known_patients_and_of_several_sizes_are_said_to_be_so() -> None:
    text = "\n".join(conventions(SUMMARY | {"interval_unit": "case", "scored_at": None}))
    assert "n = 40 slices, patients not known, scored at their own sizes" in text
    assert "bootstrap by case" in text


def test_one_slice_is_a_slice() -> None:
    text = "\n".join(conventions(SUMMARY | {"num_empty_target": 1, "num_missed": 1}))
    assert "\n1 slice without lesion" in text
    assert "; 1 slice whose lesion was missed" in text


def test_few_patients_and_no_intervals_are_said_to_be_so() -> None:
    assert "9 patients are few" in "\n".join(conventions(SUMMARY | {"n_patients": 9}))
    none = SUMMARY | {"intervals": {"dice": None}}
    assert "no intervals: they need cases of two patients" in "\n".join(conventions(none))


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
