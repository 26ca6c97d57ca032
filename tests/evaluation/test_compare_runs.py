"""Two runs compared from their files: figures, order of the rows, refusals."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scored_runs import make_rows, write_run

from evaluation.comparison import compare_runs, format_comparison, save_comparison
from metrics.confidence import Bootstrap
from metrics.paired_tests import compare_paired
from utils.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[2]
QUICK = Bootstrap(num_resamples=999)


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs on the same cases."""
    return write_run(tmp_path / "a", make_rows(1)), write_run(tmp_path / "b", make_rows(2))


def refused(a: Path, b: Path, *parts: str) -> None:
    with pytest.raises(UserError) as error:
        compare_runs(a, b, bootstrap=QUICK)
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_the_metrics_of_the_protocol_are_compared_in_its_order(runs: tuple[Path, Path]) -> None:
    found = compare_runs(*runs, bootstrap=QUICK)
    assert list(found.metrics) == ["mae", "dice", "hd95"]
    assert (found.unit, found.num_units, found.num_cases) == ("patient", 4, 12)
    for key in found.metrics:
        a, b = ([row[key] for row in make_rows(seed)] for seed in (1, 2))
        assert found.metrics[key] == compare_paired(a, b, np.arange(12) // 3, QUICK)


def test_the_order_of_the_rows_does_not_matter(tmp_path: Path) -> None:
    a, b = write_run(tmp_path / "a", make_rows(1)), write_run(tmp_path / "b", make_rows(2))
    shuffled = write_run(
        tmp_path / "c", [make_rows(2)[i] for i in np.random.default_rng(0).permutation(12)]
    )
    for unit in ("patient", "case"):
        found = compare_runs(a, shuffled, unit, QUICK)
        assert found.metrics == compare_runs(a, b, unit, QUICK).metrics


def test_a_run_does_not_differ_from_itself(runs: tuple[Path, Path]) -> None:
    for paired in compare_runs(runs[0], runs[0], bootstrap=QUICK).metrics.values():
        assert (paired.difference, paired.interval) == (0, (0, 0))
        assert (paired.wilcoxon_p, paired.permutation_p) == (1, 1)


def test_the_unit_may_be_chosen(runs: tuple[Path, Path], tmp_path: Path) -> None:
    assert compare_runs(*runs, "patient", QUICK).unit == "patient"
    by_case = compare_runs(*runs, "case", QUICK)
    assert (by_case.unit, by_case.num_units) == ("case", 12)
    unknown = [write_run(tmp_path / f"unknown{i}", make_rows(i, patients=False)) for i in (1, 2)]
    assert compare_runs(*unknown, bootstrap=QUICK).metrics == by_case.metrics
    with pytest.raises(UserError, match=r"per_case\.csv: names no patients"):
        compare_runs(*unknown, "patient", QUICK)


def test_a_case_without_a_value_is_left_out_of_that_metric(tmp_path: Path) -> None:
    rows = make_rows(2)
    rows[4]["hd95"] = math.nan
    a, b = write_run(tmp_path / "a", make_rows(1)), write_run(tmp_path / "b", rows)
    metrics = compare_runs(a, b, bootstrap=QUICK).metrics
    assert (metrics["hd95"].num_cases, metrics["hd95"].num_left_out) == (11, 1)
    assert (metrics["dice"].num_cases, metrics["dice"].num_left_out) == (12, 0)


def test_the_table_has_per_cent_distances_and_what_they_mean(runs: tuple[Path, Path]) -> None:
    found = compare_runs(*runs, bootstrap=QUICK)
    lines = format_comparison(found).splitlines()
    assert [line.split() for line in lines[:2]] == [["A", str(runs[0])], ["B", str(runs[1])]]
    dice, hd95 = found.metrics["dice"], found.metrics["hd95"]
    means = [f"{100 * mean:.2f}" for mean in (dice.mean_a, dice.mean_b)]
    assert lines[4].split()[:6] == ["Dice", "↑", "12", *means, f"{100 * dice.difference:+.2f}"]
    assert f"[{100 * dice.interval.low:+.2f}, {100 * dice.interval.high:+.2f}]" in lines[4]
    assert lines[4].split()[-2:] == [f"{dice.wilcoxon_p:.3f}", f"{dice.permutation_p:.3f}"]
    assert lines[3].startswith("MAE ↓")
    assert lines[5].startswith("HD95 ↓ mm")
    assert f"{hd95.mean_a:.2f}" in lines[5]
    assert len({len(line) for line in lines[2:6]}) == 1
    notes = "\n".join(lines[6:])
    for part in (
        *("protocol native", "threshold 0.5", "empty_target one", "scored_at [64, 64]"),
        *("12 cases", "resampled by patient (4 patients)", "999 resamples", "seed 0"),
        *("number of metrics (3)", "4 patients can give is 0.125", "too narrow"),
    ):
        assert part in notes, part


def test_a_single_patient_has_dashes(tmp_path: Path) -> None:
    a, b = (write_run(tmp_path / name, make_rows(seed)[:3]) for seed, name in enumerate("ab"))
    line = format_comparison(compare_runs(a, b, bootstrap=QUICK)).splitlines()[3]
    assert line.split()[-3:] == ["-", "1.000", "1.000"]


def test_figures_are_saved_as_fractions(runs: tuple[Path, Path], tmp_path: Path) -> None:
    found = compare_runs(*runs, bootstrap=QUICK)
    path = tmp_path / "new" / "comparison.json"
    save_comparison(found, path)
    saved = json.loads(path.read_text())
    assert saved["metrics"]["dice"]["difference"] == found.metrics["dice"].difference
    assert saved["metrics"]["dice"]["interval"] == list(found.metrics["dice"].interval)
    assert saved["bootstrap"] == {"seed": 0, "num_resamples": 999, "level": 0.95}
    assert (saved["unit"], saved["num_units"]) == ("patient", 4)
    assert saved["smallest_permutation_p"] == 0.125
    with pytest.raises(UserError, match="cannot be written"):
        save_comparison(found, path / "below_a_file.json")


OTHER = {
    **{"protocol": "infnet", "threshold": 0.35, "empty_target": "zero", "image_size": [96, 64]},
    **{"distance_unit": "px", "surface_tolerance": 1.0, "scored_at": "original size"},
}


@pytest.mark.parametrize(("key", "value"), OTHER.items())
def test_other_conventions_are_refused(tmp_path: Path, key: str, value: Any) -> None:
    a = write_run(tmp_path / "a", make_rows(1))
    b = write_run(tmp_path / "b", make_rows(2), **{key: value})
    refused(a, b, key.replace("image_size", "scored_at"), str(value), "score both alike")


def test_a_convention_that_one_run_does_not_tell_is_refused(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", make_rows(1))
    b = write_run(tmp_path / "b", make_rows(2), surface_tolerance=None)
    refused(a, b, "surface_tolerance is 3.0 and None")
    refused(b, a, "surface_tolerance is None and 3.0")


def test_networks_of_two_sizes_compare_at_one_size(tmp_path: Path) -> None:
    a = write_run(
        tmp_path / "a", make_rows(1), scored_at="original size", split="val", data_set="mine"
    )
    b = write_run(tmp_path / "b", make_rows(2), scored_at="original size", image_size=[96, 96])
    assert compare_runs(a, b, bootstrap=QUICK).num_cases == 12


def test_other_cases_are_refused_with_the_first_of_them(tmp_path: Path) -> None:
    rows = make_rows(2)
    rows[0]["patient"] = "q"
    a, b = (
        write_run(tmp_path / "a", make_rows(1)),
        write_run(tmp_path / "b", [*rows[:6], *rows[11:]]),
    )
    refused(a, b, "only in the first 6 (p0_z000 of p0, p2_z006 of p2, p2_z007 of p2, ...)")
    refused(a, b, "only in the second 1 (p0_z000 of q)", str(a), str(b))


def test_a_column_that_one_run_lacks_is_refused(tmp_path: Path) -> None:
    rows = [{key: row[key] for key in row if key != "mae"} for row in make_rows(2)]
    a, b = write_run(tmp_path / "a", make_rows(1)), write_run(tmp_path / "b", rows)
    refused(a, b, str(b / "per_case.csv"), "no column mae")
    refused(b, a, str(b / "per_case.csv"), "no column mae")


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_error(runs: tuple[Path, Path]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "test.py", "--compare", *map(str, runs)]
    finished = subprocess.run(
        command, cwd=REPOSITORY, stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (finished.returncode, finished.stderr) == (141, b"")
