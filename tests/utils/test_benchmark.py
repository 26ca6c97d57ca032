"""The benchmark: its table and CSV at a tiny size, its counts, its messages. No timings."""

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from utils import benchmark
from utils.cli import run_main
from utils.runtime import Runtime
from utils.step_cost import Variant, count_flops, create_batch

TINY = ["--set", "model.args.width=2", "--set", "model.args.depth=18", "--set"]
TINY += ["training.device=cpu", "--rounds", "1", "--threads", "1"]
CPU = torch.device("cpu")
VARIANTS = [
    "fp32 contiguous, plain",
    "fp32 contiguous, plain, paper's order",
    "fp32 channels_last",
    "bf16 channels_last",
]
COST_COLUMNS = ["milliseconds_median", "milliseconds_min", "images_per_second"]
COST_COLUMNS += ["time_ratio_to_plain", "gflop_forward_per_image", "gflop_per_step"]
COST_COLUMNS += ["gflop_per_second", "peak_memory_mib", "matmul_gflop_per_second"]
COST_COLUMNS += ["percent_of_matmul_rate"]
SETTING_COLUMNS = ["model", "num_parameters", "batch_size", "height", "width", "rounds", "device"]
SETTING_COLUMNS += ["processor", "threads", "torch", "git_sha", "git_dirty", "date"]


class Report(NamedTuple):
    text: str
    rows: list[dict[str, str]]


@pytest.fixture(autouse=True, scope="module")
def same_threads() -> Iterator[None]:
    num_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    path = tmp_path_factory.mktemp("benchmark") / "table.csv"
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as text:
        arguments = [*TINY, "--image-size", "32", "--out", str(path)]
        patch.setattr(sys, "argv", ["benchmark", *arguments])
        benchmark.main()
    with path.open(encoding="utf-8", newline="") as stream:
        return Report(text.getvalue(), list(csv.DictReader(stream)))


def test_the_table_lists_the_variants_and_marks_the_default(report: Report) -> None:
    lines = report.text.splitlines()
    for name in VARIANTS:
        mark = "*" if name == "fp32 channels_last" else " "
        assert sum(line.startswith(f"{mark} {name} ") for line in lines) == 1
    assert "batch 2 of 32 x 32 px" in lines[0]
    assert f"1 threads, torch {torch.__version__}" in lines[1]
    assert "fp32" in lines[2]
    assert "bf16" in lines[2]


def test_the_csv_has_a_row_per_variant_with_its_setting(report: Report) -> None:
    columns = ["variant", "is_default", *COST_COLUMNS, *SETTING_COLUMNS]
    assert [list(row) for row in report.rows] == [columns] * 4
    assert [row["variant"] for row in report.rows] == VARIANTS
    assert [row["is_default"] for row in report.rows] == ["False", "False", "True", "False"]
    for row in report.rows:
        assert all(float(row[name]) > 0 for name in COST_COLUMNS)
        assert (row["batch_size"], row["height"], row["width"]) == ("2", "32", "32")
        assert (row["device"], row["threads"], row["rounds"]) == ("cpu", "1", "1")
    assert float(report.rows[0]["time_ratio_to_plain"]) == 1


def test_forward_and_backward_of_a_convolution_count_two_per_multiply_add() -> None:
    convolution = nn.Conv2d(3, 8, 3, padding=1)
    image = torch.zeros(2, 3, 5, 7)
    forward = 2 * (2 * 8 * 5 * 7) * (3 * 3 * 3)  # 2 x outputs x products per output
    assert count_flops(lambda: convolution(image)) == forward
    # The image takes no gradient, so backward is the weights' alone: as many again.
    assert count_flops(lambda: convolution(image).sum().backward()) == 2 * forward
    image.requires_grad_()
    assert count_flops(lambda: convolution(image).sum().backward()) == 3 * forward


def test_normalisation_activation_and_resizing_count_nothing() -> None:
    layers = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Upsample(scale_factor=2))
    assert count_flops(lambda: layers(torch.zeros(2, 3, 4, 4))) == 0


def test_a_default_that_is_no_variant_gets_a_row_of_its_own() -> None:
    own = Runtime(CPU, torch.bfloat16, False)
    variants = benchmark.list_variants(own, has_paper_order=False)
    assert len(variants) == 4
    assert variants[-1] == Variant(own)
    assert benchmark.list_variants(variants[0].runtime, has_paper_order=False) == variants[:3]


def test_only_a_network_with_the_papers_modules_has_a_row_in_the_papers_order() -> None:
    variants = benchmark.list_variants(Runtime(CPU, None, True), has_paper_order=True)
    assert [variant.paper_order for variant in variants] == [False, True, False, False]


def test_the_synthetic_batch_has_binary_targets_of_the_image_shape() -> None:
    batch = create_batch(3, 32, 48)
    assert len(batch["name"]) == len(batch["patient"]) == len(batch["has_lung"]) == 3
    for key in ("image", "mask", "edge", "lung"):
        assert batch[key].shape == (3, 1, 32, 48)
    assert set(batch["mask"].unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image-size", "40"], "use [48, 48]"),
        (["--image-size", "32", "--rounds", "0"], "--rounds: must be a positive integer"),
        (["--image-size", "32", "--out", "nowhere/table.csv"], "there is no folder nowhere"),
        (["--image-size", "32", "--set", "model.args.wdth=2"], "width"),
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
    monkeypatch.setattr(sys, "argv", ["benchmark", *TINY, *arguments])
    with pytest.raises(SystemExit) as stopped:
        run_main(benchmark.main)
    printed = capsys.readouterr()
    assert stopped.value.code == 2
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert message in printed.err
