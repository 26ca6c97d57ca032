"""The benchmark's command line: its table, its CSV, its trace, its messages. No timings."""

import io
import json
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from benchmark import __main__ as benchmark
from benchmark import step_rows
from utils.cli import run_main
from utils.files import read_rows

pytestmark = pytest.mark.slow  # each row is measured in a process of its own
CPU = ["--set", "training.device=cpu"]
# The smallest network, which has one variant less than the default one: a process less to start.
TINY = [*CPU, "--set", "model.name=unet", "--set", "model.args={width: 2, num_levels: 2}"]
TINY += ["--set", "loss.function=own", "--set", "data.image_size=32", "--rounds", "1"]
STEPS = [
    "fp32 contiguous, plain",
    "fp32 channels_last",
    "bf16 channels_last",
    "fp32 channels_last, checkpointing",
]
LOADERS = ["workers: 2, cache", "workers: 0, cache", "workers: 2, no cache"]
EVALUATIONS = ["fp32 channels_last", "bf16 channels_last"]
STEP_COLUMNS = ["milliseconds_median", "images_per_second", "time_ratio_to_plain"]
STEP_COLUMNS += ["peak_memory_mib", "gflop_per_step", "matmul_gflop_per_second"]
STEP_COLUMNS += ["percent_of_matmul_rate"]
COLUMNS = ["kind", "variant", "is_default", "batch_size", *STEP_COLUMNS]
COLUMNS += ["percent_in_convolutions", "note", "model", "num_parameters", "height", "width"]
COLUMNS += ["rounds", "device", "processor", "threads", "torch", "git_sha", "git_dirty", "date"]


class Report(NamedTuple):
    text: str
    rows: list[dict[str, str]]

    def of(self, kind: str) -> list[dict[str, str]]:
        return [row for row in self.rows if row["kind"] == kind]

    def default(self, kind: str) -> dict[str, str]:
        (row,) = [row for row in self.of(kind) if row["is_default"] == "True"]
        return row


def run_benchmark(path: Path, *arguments: str) -> Report:
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as text:
        patch.setitem(step_rows.MATMUL_SIZE, "cpu", 64)
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", "changed")  # and put back after the test
        patch.setattr(sys, "argv", ["benchmark", *TINY, "--out", str(path), *arguments])
        benchmark.main()
    return Report(text.getvalue(), read_rows(path))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return run_benchmark(tmp_path_factory.mktemp("benchmark") / "table.csv", "--no-compile")


def test_the_table_lists_every_row_and_marks_the_configured_ones(report: Report) -> None:
    lines = report.text.splitlines()
    defaults = {"step": STEPS[1], "loader": LOADERS[0], "evaluation": EVALUATIONS[0]}
    for kind, names in {"step": STEPS, "loader": LOADERS, "evaluation": EVALUATIONS}.items():
        for name in names:
            mark = "*" if name == defaults[kind] else " "
            assert sum(line.startswith(f"{mark} {kind}, {name}  ") for line in lines) == 1
    assert "batch 2 of 32 x 32 px" in lines[0]
    assert f"1 threads, torch {torch.__version__}" in lines[1]
    assert max(map(len, lines)) <= 125


def test_the_csv_has_a_line_per_row_with_its_setting(report: Report) -> None:
    assert [list(row) for row in report.rows] == [COLUMNS] * 9
    assert [row["variant"] for row in report.of("step")] == STEPS
    assert [row["variant"] for row in report.of("loader")] == LOADERS
    assert [row["variant"] for row in report.of("evaluation")] == EVALUATIONS
    assert report.default("step")["variant"] == STEPS[1]
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
    assert float(plain["time_ratio_to_plain"]) == 1
    for row in (plain, *others):
        assert all(float(row[name]) > 0 for name in STEP_COLUMNS)
        assert float(row["peak_memory_mib"]) > 50  # torch alone
        seconds = float(row["milliseconds_median"]) / 1e3
        share = 100 * float(row["gflop_per_step"]) / seconds / float(row["matmul_gflop_per_second"])
        assert float(row["percent_of_matmul_rate"]) == pytest.approx(share, rel=1e-4)
        ratio = seconds / float(plain["milliseconds_median"]) * 1e3  # of one round
        assert float(row["time_ratio_to_plain"]) == pytest.approx(ratio, rel=1e-4)


def test_checkpointing_computes_part_of_the_forward_pass_again(report: Report) -> None:
    default, checkpointing = report.default("step"), report.of("step")[-1]
    more = float(checkpointing["gflop_per_step"]) - float(default["gflop_per_step"])
    forward = float(default["gflop_per_step"]) / 3  # backward is twice as much
    assert 0.9 * forward < more < 1.1 * forward  # all but the head; the image takes no gradient


def test_the_configured_step_tells_its_time_in_convolutions(report: Report) -> None:
    shares = {row["variant"]: row["percent_in_convolutions"] for row in report.of("step")}
    ((name, share),) = [(name, float(share)) for name, share in shares.items() if share]
    assert name == STEPS[1]
    assert 0 < share < 100
    plain, default = report.of("step")[0], report.default("step")
    milliseconds = float(default["milliseconds_median"]) * share / 100
    found = re.search(r"it would be ([\d.]+) x as fast as the plain step", report.text)
    expected = float(plain["milliseconds_median"]) / milliseconds
    assert float(found[1]) == pytest.approx(expected, abs=0.006)


def test_torch_compile_has_rows(tmp_path: Path) -> None:
    report = run_benchmark(tmp_path / "table.csv")
    compiled = {row["variant"]: row for row in report.of("step") if "compiled" in row["variant"]}
    assert list(compiled) == ["fp32 channels_last, compiled", "bf16 channels_last, compiled"]
    for row in compiled.values():
        assert row["note"] == ""
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
    rows = [line.split() for line in printed.splitlines() if "convolution_backward" in line]
    assert rows[0][-1] == str(
        names.count("aten::convolution_backward")
    )  # calls, in the last column


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "data.image_size=40"], "use [48, 48]"),
        (["--rounds", "0"], "--rounds: must be a positive integer"),
        (["--out", "nowhere/table.csv"], "there is no folder nowhere"),
        (["--set", "model.args.wdth=2"], "width"),
        (["--profile", "file/traces"], "--profile: file/traces cannot be written"),
        (
            ["--profile", "traces", "--set", "training.batch_size=1" + 12 * "0"],
            "(out of memory); lower training.batch_size",
        ),
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
    resunet = [*CPU, "--set", "model.args.width=2"]  # which does not take every size
    monkeypatch.setattr(sys, "argv", ["benchmark", *resunet, *arguments])
    with pytest.raises(SystemExit) as stopped:
        run_main(benchmark.main)
    printed = capsys.readouterr()
    assert stopped.value.code == 2
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert message in printed.err
