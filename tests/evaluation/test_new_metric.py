"""A metric is one function and one line of METRICS: everything that shows scores has it then."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evaluation.comparison import compare_runs, format_comparison
from evaluation.results import format_table, read_row
from metrics import METRICS, Meter, Metric
from metrics.case import ScoredCase
from training.recorder import plotted_scores


def area_share(case: ScoredCase) -> float:
    """The share of the slice that is predicted."""
    return float(case.pred.mean())


@pytest.fixture
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "area_share", Metric(area_share, "Area share", is_main=True))


@pytest.mark.slow
@pytest.mark.usefixtures("_registered")
def test_a_new_metric_stands_in_table_csv_report_comparison_and_results(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    assert run_script("train.py", *small_settings, "--set", "training.epochs=1").code == 0
    (best,) = (tmp_path / "runs").rglob("best.pt")
    scored = run_script("test.py", "--checkpoint", best)
    assert scored.code == 0, scored.err
    run = best.parent
    summary = json.loads((run / "metrics.json").read_text())
    with (run / "per_case.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert summary["area_share"] == pytest.approx(np.mean([float(r["area_share"]) for r in rows]))
    assert summary["intervals"].keys() >= {"area_share"}
    assert "Area share ↑" in scored.out
    assert (run / "report.html").read_text(encoding="utf-8").count("Area share") > 1
    assert "Area share ↑" in format_comparison(compare_runs(run, run))
    row = read_row(run)
    assert row["area_share"] == summary["area_share"]
    assert "Area share ↑" in format_table([row]).splitlines()[0]


@pytest.mark.usefixtures("_registered")
def test_a_new_main_metric_is_scored_and_plotted_in_validation() -> None:
    meter = Meter(empty_target="one")
    mask = np.eye(4, dtype=bool)
    meter.update(mask.astype(np.float32), mask, "slice", "patient")
    assert meter.summary()["area_share"] == 0.25
    assert plotted_scores(meter.summary())["area_share"] == 0.25


def test_a_run_scored_before_is_to_be_scored_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scores = {key: 0.5 for key in METRICS} | {"dice_nonempty": 1, "dice_pooled": 1}
    scores |= {"protocol": "native", "run_info": {}, "scored_at": None, "intervals": {"dice": None}}
    (tmp_path / "metrics.json").write_text(json.dumps(scores))
    monkeypatch.setitem(METRICS, "area_share", Metric(area_share, "Area share", is_main=True))
    with pytest.raises(ValueError, match="no area_share; score the run again"):
        read_row(tmp_path)
