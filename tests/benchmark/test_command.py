"""The benchmark's command line: its tables, its CSV, its trace, its messages. No timings."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from benchmark import __main__ as benchmark
from utils.cli import run_main

TINY = ["--set", "model.args.width=2", "--set", "model.args.depth=18", "--set"]
TINY += ["training.device=cpu", "--rounds", "1", "--threads", "1", "--image-size", "32"]
STEPS = [
    "fp32 contiguous, plain",
    "fp32 contiguous, plain, paper's order",
    "fp32 channels_last",
    "bf16 channels_last",
    "fp32 channels_last, checkpointing",
]
LOADERS = ["workers: 2, cache", "workers: 0, cache", "workers: 2, no cache"]
EVALUATIONS = ["fp32 channels_last", "bf16 channels_last"]
STEP_COLUMNS = ["milliseconds_median", "milliseconds_min", "images_per_second"]
STEP_COLUMNS += ["time_ratio_to_plain", "peak_memory_mib", "memory_ratio_to_plain"]
STEP_COLUMNS += ["gflop_forward_per_image", "gflop_per_step", "gflop_per_second"]
STEP_COLUMNS += ["percent_of_matmul_rate"]
SETTING_COLUMNS = ["model", "num_parameters", "batch_size", "height", "width", "rounds", "device"]
SETTING_COLUMNS += ["processor", "threads", "torch", "git_sha", "git_dirty", "date"]
COLUMNS = ["kind", "variant", "is_default", *STEP_COLUMNS, "percent_in_convolutions"]
COLUMNS += ["first_step_seconds", "loader_ratio_to_step", "percent_in_network"]
COLUMNS += ["percent_in_metrics", "matmul_gflop_per_second", "note", *SETTING_COLUMNS]


class Report(NamedTuple):
    text: str
    rows: list[dict[str, str]]

    def of(self, kind: str) -> list[dict[str, str]]:
        return [row for row in self.rows if row["kind"] == kind]

    def default(self, kind: str) -> dict[str, str]:
        (row,) = [row for row in self.of(kind) if row["is_default"] == "True"]
        return row


@pytest.fixture(autouse=True, scope="module")
def same_threads() -> Iterator[None]:
    num_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(num_threads)


def run_benchmark(path: Path, *arguments: str) -> Report:
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as text:
        patch.setattr(sys, "argv", ["benchmark", *TINY, "--out", str(path), *arguments])
        benchmark.main()
    with path.open(encoding="utf-8", newline="") as stream:
        return Report(text.getvalue(), list(csv.DictReader(stream)))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return run_benchmark(tmp_path_factory.mktemp("benchmark") / "table.csv", "--no-compile")


def test_the_tables_list_every_row_and_mark_the_configured_one(report: Report) -> None:
    lines = report.text.splitlines()
    for names, default in ((STEPS, STEPS[2]), (LOADERS, LOADERS[0])):
        for name in names:
            mark = "*" if name == default else " "
            num_tables = 2 if name in EVALUATIONS else 1
            assert sum(line.startswith(f"{mark} {name}  ") for line in lines) == num_tables
    assert "batch 2 of 32 x 32 px" in lines[0]
    assert any(f"1 threads, torch {torch.__version__}" in line for line in lines)
    rates = next(line for line in lines if line.startswith("matrix product of"))
    assert "fp32" in rates
    assert "bf16" in rates
    assert max(map(len, lines)) <= 150


def test_the_csv_has_a_line_per_row_with_its_setting(report: Report) -> None:
    assert [list(row) for row in report.rows] == [COLUMNS] * 10
    assert [row["variant"] for row in report.of("step")] == STEPS
    assert [row["variant"] for row in report.of("loader")] == LOADERS
    assert [row["variant"] for row in report.of("evaluation")] == EVALUATIONS
    assert report.default("step")["variant"] == STEPS[2]
    assert report.default("loader")["variant"] == LOADERS[0]
    assert report.default("evaluation")["variant"] == EVALUATIONS[0]
    for row in report.rows:
        batch_size = "8" if row["kind"] == "evaluation" else "2"
        assert (row["batch_size"], row["height"], row["width"]) == (batch_size, "32", "32")
        assert (row["device"], row["threads"], row["rounds"]) == ("cpu", "1", "1")
        assert float(row["images_per_second"]) > 0
        assert row["note"] == ""


def test_a_step_has_every_cost_and_its_ratio_to_the_plain_one(report: Report) -> None:
    plain, *others = report.of("step")
    assert float(plain["time_ratio_to_plain"]) == float(plain["memory_ratio_to_plain"]) == 1
    for row in (plain, *others):
        assert all(float(row[name]) > 0 for name in STEP_COLUMNS)
        peak, rate = float(row["peak_memory_mib"]), float(row["matmul_gflop_per_second"])
        ratio = peak / float(plain["peak_memory_mib"])
        assert float(row["memory_ratio_to_plain"]) == pytest.approx(ratio, rel=1e-4)
        share = 100 * float(row["gflop_per_second"]) / rate
        assert float(row["percent_of_matmul_rate"]) == pytest.approx(share, rel=1e-4)
        assert row["first_step_seconds"] == ""


def test_checkpointing_computes_part_of_the_forward_pass_again(report: Report) -> None:
    default, checkpointing = report.default("step"), report.of("step")[-1]
    more = float(checkpointing["gflop_per_step"]) - float(default["gflop_per_step"])
    forward = 2 * float(default["gflop_forward_per_image"])
    assert 0.3 * forward < more < forward  # encoder and decoder; at width 2 the rest is large


def test_the_plain_and_the_configured_step_tell_their_time_in_convolutions(report: Report) -> None:
    shares = {row["variant"]: row["percent_in_convolutions"] for row in report.of("step")}
    measured = {name: float(share) for name, share in shares.items() if share}
    assert sorted(measured) == sorted([STEPS[0], STEPS[2]])
    assert all(0 < share < 100 for share in measured.values())
    plain, default = report.of("step")[0], report.default("step")
    milliseconds = float(default["milliseconds_median"]) * measured[STEPS[2]] / 100
    found = re.search(r"it would be ([\d.]+) x as fast as the plain step", report.text)
    expected = float(plain["milliseconds_median"]) / milliseconds
    assert float(found[1]) == pytest.approx(expected, abs=0.006)


def test_the_loader_is_compared_with_the_configured_step(report: Report) -> None:
    step = float(report.default("step")["images_per_second"])
    for row in report.of("loader"):
        ratio = float(row["images_per_second"]) / step
        assert float(row["loader_ratio_to_step"]) == pytest.approx(ratio, rel=1e-4)
    found = re.search(r"the loader feeds ([\d.,]+) x the configured step", report.text)
    ratio = float(report.default("loader")["loader_ratio_to_step"])
    assert float(found[1].replace(",", "")) == pytest.approx(ratio, abs=0.051)


def test_network_and_metrics_are_parts_of_the_evaluation(report: Report) -> None:
    for row in report.of("evaluation"):
        network, metrics = float(row["percent_in_network"]), float(row["percent_in_metrics"])
        assert network > 0
        assert metrics > 0
        assert network + metrics < 100


@pytest.mark.slow
def test_torch_compile_has_rows_with_the_time_that_it_takes(tmp_path: Path) -> None:
    report = run_benchmark(tmp_path / "table.csv")
    compiled = {row["variant"]: row for row in report.of("step") if "compiled" in row["variant"]}
    assert list(compiled) == ["fp32 channels_last, compiled", "bf16 channels_last, compiled"]
    for row in compiled.values():
        assert row["note"] == ""
        assert float(row["first_step_seconds"]) > 1e-3 * float(row["milliseconds_median"])
        assert row["gflop_per_step"] == report.default("step")["gflop_per_step"]


def test_a_profile_is_a_trace_of_convolutions_and_a_table_of_operators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "traces"
    monkeypatch.setattr(sys, "argv", ["benchmark", *TINY, "--profile", str(folder)])
    for num_traces in (1, 2):  # a second trace lies beside the first
        benchmark.main()
        paths = list(folder.glob("*.json"))
        assert len(paths) == num_traces
        printed = capsys.readouterr().out
        assert sum(str(path) in printed for path in paths) == 1
    events = json.loads(paths[0].read_text(encoding="utf-8"))["traceEvents"]
    names = [event.get("name") for event in events]
    assert sum(str(name).startswith("ProfilerStep#") for name in names) == 3
    assert names.count("aten::convolution") == names.count("aten::convolution_backward") > 0
    head, *rows = printed.splitlines()[:11]
    assert head.split()[-3:] == ["ms/step", "%", "calls/step"]
    milliseconds = [float(row.split()[-3]) for row in rows]
    assert milliseconds == sorted(milliseconds, reverse=True)
    assert "aten::convolution_backward" in [row.split()[0] for row in rows]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image-size", "40"], "use [48, 48]"),
        (["--rounds", "0"], "--rounds: must be a positive integer"),
        (["--out", "nowhere/table.csv"], "there is no folder nowhere"),
        (["--set", "model.args.wdth=2"], "width"),
        (["--data", "--set", "data.root=nowhere"], "nowhere"),
        (["--profile", "file/traces"], "--profile: file/traces cannot be made"),
        (["--profile", "traces", "--batch-size", "1" + 12 * "0"], "(out of memory); lower --batch"),
        (["--profile", "traces", "--out", "table.csv"], "not allowed with argument"),
    ],
)
def test_a_mistake_exits_2_with_one_line(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["benchmark", *TINY, *arguments])
    with pytest.raises(SystemExit) as stopped:
        run_main(benchmark.main)
    printed = capsys.readouterr()
    assert stopped.value.code == 2
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert message in printed.err
