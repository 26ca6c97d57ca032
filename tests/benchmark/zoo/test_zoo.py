"""The table of all networks: what stands in it, its command line."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.zoo import command as zoo
from benchmark.zoo.costs import Entry, describe_outputs
from models import MODELS, list_models
from utils.cli import run_main
from utils.config_loader import RESOURCES
from utils.contracts import SegOutput
from utils.files import read_rows

SMALL = ["--size", "32", "--rounds", "1", "--set", "training.device=cpu"]


@cache
def describe(name: str) -> dict[str, Any]:
    return Entry(name, 256, []).describe()


@pytest.mark.parametrize("name", list_models())
def test_every_network_is_described_without_computing(name: str) -> None:
    row, network = describe(name), MODELS[name]
    assert row["num_parameters"] > 0
    assert row["gflop_forward"] > 0
    assert row["outputs"].startswith("mask")
    stated = (network.title, network.paper, network.reference_licence, network.own_loss)
    assert (row["title"], row["paper"], row["reference_licence"], row["own_loss"]) == stated


@pytest.mark.parametrize("name", list_models())
def test_the_csv_holds_every_network_as_it_is(name: str) -> None:
    rows = {row["name"]: row for row in read_rows(RESOURCES / "results" / "zoo.csv")}
    if name not in rows:
        pytest.skip("a new network; make zoo measures it")
    wanted = {key: str(value) for key, value in describe(name).items()}
    found = {key: rows[name][key] for key in wanted}
    gflop = float(wanted.pop("gflop_forward"))
    assert float(found.pop("gflop_forward")) == pytest.approx(gflop, rel=1e-5)
    assert found == wanted


def test_arithmetic_counts_two_per_multiply_add() -> None:
    # Published: 48.167 GMAC for three channels; the first of 64 3x3 kernels saves two of them.
    gmac = 48.167 - 2 * 64 * 9 * 256**2 / 1e9
    assert describe("unet")["gflop_forward"] == pytest.approx(2 * gmac, rel=1e-4)


def test_outputs_are_counted_by_kind() -> None:
    one = torch.zeros(1, 1, 2, 2)
    assert describe_outputs(SegOutput(one)) == "mask"
    full = SegOutput(one, edge=(one,), semantic=(one, one, one), lung=one)
    assert describe_outputs(full) == "mask, 1 edge, 3 semantic, lung"


@pytest.mark.slow
def test_the_unet_is_measured_beside_itself(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    zoo.main(["--only", "unet", *SMALL, "--csv", str(tmp_path / "zoo.csv")])
    head, line, *_ = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["network", "parameters", "GFLOP"]
    assert line.split()[:5] == ["unet", "31,036,481", "1.5", "mask", "bce_dice"]
    (row,) = read_rows(tmp_path / "zoo.csv")
    assert (row["title"], row["outputs"]) == ("U-Net", "mask")
    assert (row["size"], row["batch_size"], row["rounds"], row["note"]) == ("32", "2", "1", "")
    assert float(row["milliseconds_median"]) > 0
    assert float(row["peak_memory_mib"]) > 100
    assert float(row["speed_ratio_to_unet"]) == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "unett"], "--only: invalid choice: 'unett'"),
        (["--set", "model.name=unet"], "only training"),
        (["--size", "40"], "use [48, 48]"),
        (["--size", "0"], "must be a positive integer"),
        (["--csv", "nowhere/zoo.csv"], "there is no folder nowhere"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as end:
        run_main(lambda: zoo.main(arguments))
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert end.value.code == 2
    assert message in line


@pytest.mark.slow
def test_others_take_turns_with_the_unet(tmp_path: Path) -> None:
    path = tmp_path / "zoo.csv"
    zoo.main(["--only", "unetplusplus", "infnet", *SMALL, "--csv", str(path)])
    for row in read_rows(path):
        assert float(row["milliseconds_median"]) > 0
        assert float(row["peak_memory_mib"]) > 100
        assert float(row["speed_ratio_to_unet"]) > 0
        assert row["note"] == ""
