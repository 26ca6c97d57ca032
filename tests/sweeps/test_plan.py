"""What a sweep's file becomes, and what is wrong with one."""

import time
from pathlib import Path

import pytest

from sweeps.plan import check_plans, plan_sweep
from sweeps.specification import SIZES, SWEEPS, list_sweeps, read_sweep, sweep_path
from tests.sweeps.conftest import SWEEP, plan, write_sweep
from utils.errors import UserError


def test_every_run_has_a_folder_by_sweep_size_data_row_and_seed(
    sweep_file: Path, tmp_path: Path
) -> None:
    runs = plan(sweep_file, tmp_path / "data", tmp_path / "runs")[1]
    folder = tmp_path / "runs" / "two" / "tiny" / "slices"
    assert [run.folder.path for run in runs] == [folder / "plain/seed2", folder / "fused/seed2"]
    assert [run.config.model.args["fusion"] for run in runs] == ["none", "attention"]
    assert {run.config.data.root for run in runs} == {str(tmp_path / "data")}


def test_all_rows_come_with_the_first_seed_before_any_with_the_second(sweep_file: Path) -> None:
    sweep = read_sweep(
        write_sweep(sweep_file, SWEEP.replace("[slices]", "[a, b]\n  seeds: [7, 5]"))
    )
    runs = plan_sweep("two", sweep, "tiny")
    assert [run.seed for run in runs] == [7] * 4 + [5] * 4
    assert len({run.folder.path for run in runs}) == 8
    assert {run.config.training.seed for run in runs} == {7, 5}


def test_what_is_nearer_to_the_row_wins(sweep_file: Path) -> None:
    text = SWEEP.replace("title: Fused", "title: Fused\n    tiny: {set: {model.args.width: 8}}")
    sweep = read_sweep(write_sweep(sweep_file, text))
    widths = {r.row: r.config.model.args["width"] for r in plan_sweep("two", sweep, "tiny")}
    assert widths == {"plain": 4, "fused": 8}
    small = plan_sweep("two", sweep, "small", overrides=["model.args.width=6"])
    assert {run.config.model.args["width"] for run in small} == {6}


@pytest.mark.parametrize("name", list_sweeps())
@pytest.mark.parametrize("size", SIZES)
def test_every_sweep_of_the_project_plans(name: str, size: str) -> None:
    sweep = read_sweep(SWEEPS / f"{name}.yaml")
    runs = plan_sweep(name, sweep, size)
    assert {run.row for run in runs} == set(sweep.rows)


def test_a_thousand_runs_are_planned_in_seconds(sweep_file: Path) -> None:
    rows = "".join(
        f"  row{i}:\n    title: Row {i}\n    set: {{optimizer.weight_decay: {i / 1e6:.6f}}}\n"
        for i in range(500)
    )
    text = SWEEP.replace("[slices]", "[slices]\n  seeds: [1, 2]") + rows
    start = time.process_time()
    runs = plan_sweep("two", read_sweep(write_sweep(sweep_file, text)), "tiny")
    seconds = time.process_time() - start
    assert len(runs) == 1004
    assert len({run.config.optimizer.weight_decay for run in runs}) == 500
    assert seconds < 5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("baseline: plain", "baseline: plan", r":5: no row 'plan', did you mean plain\?"),
        (
            "baseline: plain",
            "baseline: plain\nceiling: fussed",
            r":6: no row 'fussed', did you mean",
        ),
        ("[dice, mae]", "[dice, mea]", r":6: no metric 'mea', did you mean mae\?"),
        ("title: Plain", "titel: Plain", r"rows.plain.*title: missing"),
        ("printed: {dice: [85.96, 0.03]}", "printed: {dice: 85.96}", r"rows.plain.printed.dice"),
        ("  fused:", "  Fused/2:", "row 'Fused/2' names a folder"),
        ("table: table 9\n", "", "table: missing; add it"),
        ("tiny:", "tinny:", r"tinny: unknown key, did you mean tiny\?"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(
    old: str, new: str, message: str, sweep_file: Path
) -> None:
    write_sweep(sweep_file, SWEEP.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as caught:
        read_sweep(sweep_file)
    assert str(caught.value).startswith(str(sweep_file))


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("experiments: [zoo/unett]", "row fused: --experiment: there is no 'zoo/unett', did you"),
        ("set: {model.nam: unet}", "row fused: --set model.nam: unknown key"),
        ("set: {model.args.width: 4, training.epochs: 0}", "row fused: --set training.epochs"),
    ],
)
def test_a_wrong_row_is_refused_by_its_name(new: str, message: str, sweep_file: Path) -> None:
    write_sweep(sweep_file, SWEEP.replace("title: Fused", f"title: Fused\n    {new}"))
    with pytest.raises(UserError, match=message):
        plan_sweep("two", read_sweep(sweep_file), "tiny")


def test_a_sweep_that_is_not_there_is_suggested(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such sweep, did you mean table5"):
        read_sweep(SWEEPS / "tabel5.yaml")


def test_a_sweep_that_comes_with_the_project_goes_by_its_name() -> None:
    assert sweep_path("table5") == SWEEPS / "table5.yaml"
    assert sweep_path("mine/table5.yaml") == Path("mine/table5.yaml")
    with pytest.raises(UserError, match="tabel5: no such sweep, did you mean table5"):
        read_sweep(sweep_path("tabel5"))


def test_two_runs_never_write_the_same_folder(sweep_file: Path) -> None:
    sweep = read_sweep(sweep_file)
    with pytest.raises(UserError, match=r"plain/seed2: two runs would write it"):
        check_plans([plan_sweep("two", sweep, "tiny"), plan_sweep("two", sweep, "tiny")])
    twice = SWEEP.replace("[slices]", "[slices]\n  seeds: [2, 2]")
    with pytest.raises(UserError, match="name every seed and data set once"):
        plan_sweep("two", read_sweep(write_sweep(sweep_file, twice)), "tiny")
