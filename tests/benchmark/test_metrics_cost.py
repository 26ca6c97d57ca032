"""The cost of the metrics beside PySODMetrics: its cases, its table, its messages. No timings."""

import sys

import numpy as np
import pytest

from benchmark import __main__ as benchmark
from benchmark.metrics_cost import synthetic_cases
from utils.cli import run_main

NAMES = ["E_phi, adaptive and mean", "S_alpha", "MAE", "Dice", "the four together", "weighted F"]
TINY = ["--size", "24", "--cases", "8", "--rounds", "2"]
INSTALL = "pip install --no-deps pysodmetrics and pip install scikit-learn"


def run_benchmark(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", "metrics", *arguments])
    benchmark.main()


def test_the_cases_are_those_of_a_segmentation_and_always_the_same() -> None:
    cases = synthetic_cases(16, 64)
    assert sum(not target.any() for _, target in cases) == 2
    for (prob, target), (again, mask) in zip(cases, synthetic_cases(16, 64), strict=True):
        assert (prob.dtype, target.dtype, prob.shape) == (np.float32, np.bool_, (64, 64))
        np.testing.assert_array_equal(prob, again)
        np.testing.assert_array_equal(target, mask)
        assert 0 <= prob.min() < 0.1
        assert prob.max() <= 1
        if target.any():
            assert 0.002 < target.mean() < 0.3
            assert prob[target].mean() > 0.4 > prob[~target].mean()


def test_every_metric_has_a_row_and_the_value_of_pysodmetrics(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("py_sod_metrics", reason=INSTALL)
    run_benchmark(monkeypatch, *TINY)
    head, *rows, blank, setting = capsys.readouterr().out.splitlines()
    assert head.startswith("metric")
    assert {len(row) for row in rows} == {len(head)}
    assert blank == ""
    assert setting.startswith("8 cases of 24 x 24 px in float32, median of 2 rounds")
    for name, row in zip(NAMES, rows, strict=True):
        assert row.startswith(name)
        ours, theirs, ratio, difference = map(float, row.removeprefix(name).split())
        assert min(ours, theirs, ratio) > 0
        assert difference < 1e-6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "8"], "--size: must be at least 16"),
        (["--rounds", "0"], "--rounds: must be a positive integer"),
        (["--cases", "many"], "--cases: must be a positive integer, not 'many'"),
        (["--experiment", "quickstart"], "unrecognized arguments"),
    ],
)
def test_a_mistake_exits_2_with_one_line(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_benchmark(monkeypatch, *arguments)
    printed = capsys.readouterr()
    assert (stopped.value.code, printed.out) == (2, "")
    assert len(printed.err.splitlines()) == 1
    assert message in printed.err


def test_without_pysodmetrics_one_line_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "py_sod_metrics", None)  # as if it were not installed
    monkeypatch.setattr(sys, "argv", ["benchmark", "metrics", *TINY])
    with pytest.raises(SystemExit) as stopped:
        run_main(benchmark.main)
    printed = capsys.readouterr()
    assert (stopped.value.code, printed.out) == (2, "")
    assert len(printed.err.splitlines()) == 1
    assert INSTALL in printed.err
