"""The table of all networks: what stands in it, its command line, its forms."""

import csv
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.zoo import command as zoo
from benchmark.zoo.costs import Entry, describe_outputs
from benchmark.zoo.table import format_markdown, read_csv
from models import MODELS, list_models
from utils.cli import run_main
from utils.config_loader import RESOURCES
from utils.contracts import SegOutput
from utils.errors import UserError
from utils.readme import replace_table

Command = Callable[..., str]
MEASURED = RESOURCES / "results" / "zoo.csv"


@cache
def describe(name: str) -> dict[str, Any]:
    return Entry(name, 256, 2, []).describe()


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """What python -m benchmark zoo prints."""

    def run(*arguments: str | Path) -> str:
        zoo.main([str(argument) for argument in arguments])
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("name", list_models())
def test_every_network_is_described_without_computing(name: str) -> None:
    row, network = describe(name), MODELS[name]
    assert row["num_parameters"] > 0
    assert row["gflop_forward"] > 0
    assert row["outputs"].startswith("mask")
    stated = (network.title, network.paper, network.reference_licence, network.own_loss)
    assert (row["title"], row["paper"], row["reference_licence"], row["own_loss"]) == stated


def test_arithmetic_counts_two_per_multiply_add() -> None:
    # Published: 48.167 GMAC for three channels; the first of 64 3x3 kernels saves two of them.
    gmac = 48.167 - 2 * 64 * 9 * 256**2 / 1e9
    assert describe("unet")["gflop_forward"] == pytest.approx(2 * gmac, rel=1e-4)


def test_outputs_are_counted_by_kind() -> None:
    one = torch.zeros(1, 1, 2, 2)
    assert describe_outputs(SegOutput(one)) == "mask"
    full = SegOutput(one, edge=(one,), semantic=(one, one, one), lung=one)
    assert describe_outputs(full) == "mask, 1 edge, 3 semantic, lung"


def test_the_csv_becomes_the_readmes_table(command: Command, tmp_path: Path) -> None:
    path, page = tmp_path / "zoo.csv", tmp_path / "README.md"
    options = ("--no-timing", "--size", "64", "--csv", path)
    out = command("--only", "unet", "infnet", *options)
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["network", "parameters", "GFLOP"]
    assert [line.split()[:2] for line in lines[1:3]] == [
        ["unet", "31,036,481"],
        ["infnet", "31,072,145"],
    ]
    rows = read_csv(path)
    assert [row["name"] for row in rows] == ["unet", "infnet"]
    assert rows[1]["outputs"] == "mask, 1 edge, 3 semantic"
    assert (rows[0]["size"], rows[0]["rounds"], rows[0]["milliseconds_median"]) == ("64", "", "")
    page.write_text("before\n<!-- results:zoo -->\nold\n<!-- end -->\nafter\n")
    replace_table(page, "zoo", format_markdown(rows))
    text = page.read_text()
    assert "old" not in text
    assert "| U-Net (`unet`) | Ronneberger et al., MICCAI 2015 | 31,036,481 | 6.0 | mask |" in text
    assert "64 x 64 px" in text
    assert "ms/step:" not in text


def test_the_readme_holds_the_table_of_the_csv() -> None:
    rows = read_csv(MEASURED)
    names = [row["name"] for row in rows]
    assert names == [name for name in MODELS if name in names]
    assert format_markdown(rows) in (RESOURCES.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list_models())
def test_the_csv_holds_every_network_as_it_is(name: str) -> None:
    rows = {row["name"]: row for row in read_csv(MEASURED)}
    if name not in rows:
        pytest.skip("a new network; make zoo measures it")
    wanted = {key: str(value) for key, value in describe(name).items()}
    found = {key: rows[name][key] for key in wanted}
    gflop = float(wanted.pop("gflop_forward"))
    assert float(found.pop("gflop_forward")) == pytest.approx(gflop, rel=1e-5)
    assert found == wanted


def test_what_could_not_be_measured_says_why(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "zoo.csv"
    command("--only", "unet", "--no-timing", "--size", "64", "--csv", path)
    (row,) = read_csv(path)
    measured = row | {"milliseconds_median": "12.3", "speed_ratio_to_unet": "1", "rounds": "5"}
    text = format_markdown([measured, row | {"name": "other", "note": "out of memory"}])
    cells = [cell.strip() for cell in text.splitlines()[2].split("|")]
    assert cells[7:10] == ["12", "1.00", "-"]
    assert "other: not measured, out of memory" in text
    assert "median of 5 rounds" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "unett"], "--only: there is no 'unett', did you mean unet"),
        (["--set", "model.name=unet"], "only training"),
        (["--size", "40"], "use [48, 48]"),
        (["--size", "0"], "must be a positive integer"),
        (["--csv", "nowhere/zoo.csv"], "there is no folder nowhere"),
        (["--readme", "nowhere.csv"], "nowhere.csv: cannot be read"),
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


def test_another_csv_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("name,dice\nunet,0.5\n")
    with pytest.raises(UserError, match="no table of networks"):
        read_csv(tmp_path / "other.csv")


@pytest.mark.slow
def test_steps_are_timed_beside_the_unet(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "zoo.csv"
    options = ("--size", "32", "--rounds", "1", "--set", "training.device=cpu", "--csv", path)
    command("--only", "unetplusplus", "unet", *options)
    with path.open(newline="", encoding="utf-8") as stream:
        other, unet = csv.DictReader(stream)
    assert float(unet["speed_ratio_to_unet"]) == 1.0
    for row in (other, unet):
        seconds = float(row["milliseconds_median"]) / 1e3
        assert float(row["images_per_second"]) == pytest.approx(2 / seconds, rel=1e-4)
        assert float(row["peak_memory_mib"]) > 100
        assert row["note"] == ""
