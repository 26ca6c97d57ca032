import csv
import json
from pathlib import Path

import pytest

from evaluation.readme import list_tables, replace_table
from evaluation.results import PAGES, format_classes, format_table, read_row, rebuild_tables
from utils.errors import UserError
from utils.files import write_rows

SCORES = {
    "run": "demo", "seed": 2, "epoch": 7, "data_set": "synthetic", "split": "test",
    "protocol": "native", "scored_at": [128, 128], "intervals": {"dice": [0.75, 0.875]},
    "interval_unit": "patient", "n": 72, "n_patients": 6, "num_empty_target": 18,
    "num_false_alarm": 1, "num_missed": 2, "dice": 0.8123, "dice_nonempty": None,
    "dice_pooled": 0.9, "sensitivity": 0.7, "precision": 0.6, "mae": 0.0051,
    "e_measure_mean": 0.95, "s_measure": 0.85, "empty_target": "one", "threshold": 0.5,
    "run_info": {
        "git": {"sha": "0123456789", "dirty": False}, "num_parameters": 10,
        "precision": "fp32", "hardware": {"processor": "a processor"},
    },
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "metrics.json").write_text(json.dumps(SCORES))
    return tmp_path


def test_a_row_carries_scores_conventions_and_origin(run: Path) -> None:
    row = read_row(run)
    assert (row["dice"], row["n"], row["empty_target"], row["seed"]) == (0.8123, 72, "one", 2)
    assert (row["git_sha"], row["hardware"]) == ("0123456789", "a processor")
    write_rows(run / "table.csv", [row])
    with (run / "table.csv").open() as stream:
        (read,) = csv.DictReader(stream)
    assert read["mae"] == "0.0051"


def test_the_table_is_in_per_cent_with_its_conventions(run: Path) -> None:
    table = format_table([read_row(run)])
    assert (
        "| `demo` | synthetic, test | 81.23 (75.0–87.5) | - | 90.00 | 70.00 | 60.00 | 0.51 |"
        in table
    )
    assert "n = 72 slices of 6 patients, 18 without lesion, protocol native" in table
    assert "scored at 128 x 128 px" in table
    assert "95 % interval by patient" in table
    assert "Seeds: 2; one run a row." in table


def test_one_patient_has_a_score_without_interval(run: Path) -> None:
    (run / "metrics.json").write_text(json.dumps(SCORES | {"intervals": {"dice": None}}))
    assert "| 81.23 | - |" in format_table([read_row(run)])


def test_classes_have_columns_and_a_run_without_them_dashes(run: Path) -> None:
    classes = {"ground-glass": {"dice_pooled": 0.4}, "consolidation": {"dice_pooled": 0.6}}
    means = {"classes": classes, "class_mean": {"dice_pooled": 0.5}}
    rows = [read_row(run)]
    (run / "metrics.json").write_text(json.dumps(SCORES | means | {"dice_std": 0.1}))
    rows.insert(0, read_row(run))
    table = format_classes(rows)
    heads = "any lesion | any lesion, pooled | ground-glass | consolidation | mean of the classes"
    assert f"| run | seed | {heads} |" in table
    assert "| `demo` | 2 | 81.23 ± 10.00 | 90.00 | 40.00 | 60.00 | 50.00 |" in table
    assert "| `demo` | 2 | 81.23 | 90.00 | - | - | - |" in table


@pytest.mark.parametrize("protocol", ["infnet", "network size"])
def test_scores_of_another_kind_do_not_mix_with_these(protocol: str, run: Path) -> None:
    (run / "metrics.json").write_text(json.dumps(SCORES | {"protocol": protocol}))
    with pytest.raises(UserError, match=f"protocol {protocol}; score the run again"):
        read_row(run)


def test_only_the_named_place_of_a_page_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    rest = "<!-- end -->\nb\n<!-- results:y -->\n<!-- end -->\n"
    page.write_text(f"a\n<!-- results:x -->\nold\n{rest}")
    replace_table(page, "x", "new")
    assert page.read_text() == f"a\n<!-- results:x -->\n\nnew\n\n{rest}"
    replace_table(page, "x", "newer")
    assert page.read_text().count("newer") == 1
    with pytest.raises(UserError, match="no place <!-- results:z -->"):
        replace_table(page, "z", "new")


def test_a_run_without_scores_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"metrics\.json: no scores"):
        read_row(tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_every_table_of_the_pages_is_its_csv_s(page: Path, tmp_path: Path) -> None:
    copy = tmp_path / "page.md"
    copy.write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    assert list_tables(copy)
    rebuild_tables(copy)
    assert copy.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")


def test_a_table_without_its_csv_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- results:lost -->\n\nold\n\n<!-- end -->\n")
    with pytest.raises(UserError, match=r"lost\.csv: cannot be read"):
        rebuild_tables(page, tmp_path)
    (tmp_path / "lost.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"lost\.csv: no rows of the table lost"):
        rebuild_tables(page, tmp_path)
    assert "old" in page.read_text()
