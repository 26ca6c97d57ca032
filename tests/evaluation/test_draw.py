import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from evaluation.paper_figures import save_paper_figures
from models import create_model
from training.builders import build_runtime
from training.split import open_split
from training.trained_run import TrainedRun
from utils.config_loader import load_config

COMMAND = "evaluation/draw.py"
SMALL = {"width": 4, "depth": 18}
PLAIN = {"edge_stages": [], "semantic_stages": [], "fusion": "none"}


@pytest.fixture
def save_run(tmp_path: Path, data_root: Path) -> Callable[..., Path]:
    """Write the checkpoint of an untrained network."""

    def save(run: str, image_size: int = 64, **args: object) -> Path:
        torch.manual_seed(0)
        pairs = {
            "data.root": data_root,
            "data.image_size": image_size,
            "data.cache_mib": 0,
            "training.device": "cpu",
        }
        config = load_config(overrides=[f"{key}={value}" for key, value in pairs.items()])
        values = config.model_dump(mode="json")
        values["model"]["args"] = SMALL | args
        network = create_model("resunet", **SMALL, **args)
        path = tmp_path / "runs" / run / "seed2" / "best.pt"
        path.parent.mkdir(parents=True)
        content = {"format": 2, "config": values, "model": network.state_dict(), "epoch": 1}
        torch.save(content, path)
        return path

    return save


def names_in(folder: Path) -> list[str]:
    """Every file of a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
def test_the_figures_of_a_trained_run_are_page_wide_pngs_the_same_each_time(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    assert run_script("train.py", *small_settings, "--set", "training.epochs=1").code == 0
    best = tmp_path / "runs" / "train_config" / "seed2" / "best.pt"
    for out in ("one", "two"):
        finished = run_script(COMMAND, "--checkpoint", best, "--out", tmp_path / out)
        assert finished.code == 0, finished.err
    assert names_in(tmp_path / "one") == ["figure_6.png", "figure_7.png", "figure_8.png"]
    for path in (tmp_path / "one").iterdir():
        data = path.read_bytes()
        assert data == (tmp_path / "two" / path.name).read_bytes()
        assert cv2.imread(str(path)).shape[1] == 2100  # 7 inches of 300 dots
        place = data.index(b"pHYs") + 4
        assert int.from_bytes(data[place : place + 4], "big") == 11811  # dots per metre: 300 / inch
    # The last slice has no lesion; the three others are all that there are.
    assert finished.out.splitlines()[-2].count("test0") == 3
    assert "test01_z003" not in finished.out


def test_several_runs_share_figure_6_and_have_figures_7_and_8_each_as_far_as_they_can(
    run_script: Callable, save_run: Callable, tmp_path: Path
) -> None:
    first, plain = save_run("full"), save_run("plain", image_size=32, **PLAIN)
    stale = tmp_path / "out" / "figure_8_plain.png"
    stale.parent.mkdir()
    stale.write_text("of an earlier network")
    finished = run_script(COMMAND, "--checkpoint", first, plain, "--out", stale.parent)
    assert finished.code == 0, finished.err
    wanted = ["figure_6.png", "figure_7_full.png", "figure_8_full.png"]
    assert names_in(stale.parent) == wanted
    assert "figure_7_plain.png left out: this resunet has no side outputs" in finished.out
    assert "figure_8_plain.png left out: this resunet has no attention fusion" in finished.out


def test_runs_of_one_experiment_are_told_apart_by_seed_and_file(
    run_script: Callable, save_run: Callable, tmp_path: Path
) -> None:
    best = save_run("full")
    last = shutil.copy(best, best.with_name("last.pt"))
    arguments = ["--out", tmp_path / "out", "--cases", "test00_z000"]
    assert run_script(COMMAND, "--checkpoint", best, last, *arguments).code == 0
    assert "figure_7_full_seed2_last.png" in names_in(tmp_path / "out")


def test_named_cases_are_drawn_in_their_order_each_once(
    run_script: Callable, save_run: Callable, tmp_path: Path
) -> None:
    arguments = ["--checkpoint", save_run("full"), "--out", tmp_path / "out"]
    names = ["test01_z003", "test00_z000", "test01_z003"]
    finished = run_script(COMMAND, *arguments, "--cases", *names)
    assert finished.out.splitlines()[0].split() == ["cases", "test01_z003,", "test00_z000"]


@pytest.mark.slow
def test_every_run_is_read_at_its_own_size_from_the_first_runs_data(
    run_script: Callable, save_run: Callable, data_root: Path, tmp_path: Path
) -> None:
    first, second = save_run("first"), save_run("second", image_size=32)
    content = torch.load(second, weights_only=True)
    content["config"]["data"] |= {"root": str(tmp_path / "elsewhere"), "lesion_values": [1, 2]}
    torch.save(content, second)
    out = tmp_path / "out"
    assert run_script(COMMAND, "--checkpoint", first, second, "--out", out).code == 0
    alone = run_script(COMMAND, "--checkpoint", second, "--out", tmp_path / "alone")
    assert (alone.code, "elsewhere" in alone.err) == (2, True)
    arguments = ["--set", f"data.root={data_root}", "--set", "data.lesion_values=null"]
    arguments += ["--checkpoint", second, "--out", tmp_path / "alone"]
    assert run_script(COMMAND, *arguments).code == 0
    # Drawn alone, the second run looks as it does beside the first.
    beside, alone = out / "figure_7_second.png", tmp_path / "alone" / "figure_7.png"
    assert beside.read_bytes() == alone.read_bytes()
    assert beside.read_bytes() != (out / "figure_7_first.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--cases", "test0_z000"], "no case 'test0_z000', did you mean test00_z000?"),
        (["--num-cases", "0"], "positive integer"),
        (["--num-cases", "2", "--cases", "test00_z000"], "not allowed with"),
        (["--split", "all"], "invalid choice"),
        (["--set", "model.args.width=8"], "the checkpoint decides it"),
        (["--set", "data.root=nowhere"], "no folder nowhere"),
        (["--set", "data.image_size=40"], "does not fit resunet"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line_and_leave_nothing(
    run_script: Callable,
    refused: Callable,
    save_run: Callable,
    tmp_path: Path,
    arguments: list[str],
    part: str,
) -> None:
    out = tmp_path / "out"
    refused(run_script(COMMAND, "--checkpoint", save_run("full"), "--out", out, *arguments), part)
    assert not out.exists()


def test_no_checkpoint_the_same_one_twice_and_one_that_is_none_are_refused(
    run_script: Callable, refused: Callable, save_run: Callable, tmp_path: Path
) -> None:
    best, out = save_run("full"), tmp_path / "out"
    refused(run_script(COMMAND, "--out", out, "--checkpoint"), "--checkpoint")
    refused(run_script(COMMAND, "--checkpoint", best, best, "--out", out), "stands twice")
    (tmp_path / "text.pt").write_text("text")
    finished = run_script(COMMAND, "--checkpoint", best, tmp_path / "text.pt", "--out", out)
    refused(finished, "text.pt")
    assert not out.exists() or names_in(out) == []


def test_a_folder_that_cannot_be_written_is_named(
    run_script: Callable, refused: Callable, save_run: Callable, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    arguments = ["--checkpoint", save_run("full"), "--out"]
    refused(
        run_script(COMMAND, *arguments, tmp_path / "file"), "--out", "file", "cannot be written"
    )
    below = tmp_path / "file" / "below"
    refused(run_script(COMMAND, *arguments, below), "--out", "cannot be written")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="limits the size of files")
def test_where_one_figure_cannot_be_written_none_is(
    run_script: Callable, refused: Callable, save_run: Callable, tmp_path: Path
) -> None:
    import resource

    best, out = save_run("full"), tmp_path / "out"
    assert run_script(COMMAND, "--checkpoint", best, "--out", tmp_path / "whole").code == 0
    out.mkdir()
    (out / "figure_6.png").write_text("old")
    largest = max(path.stat().st_size for path in (tmp_path / "whole").iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, limits[1]))
    try:
        finished = run_script(COMMAND, "--checkpoint", best, "--out", out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    refused(finished, str(out), "cannot be written")
    assert names_in(out) == ["figure_6.png"]
    assert (out / "figure_6.png").read_text() == "old"


def test_weights_that_predict_nan_are_refused_naming_the_case(
    run_script: Callable, refused: Callable, save_run: Callable, tmp_path: Path
) -> None:
    best = save_run("full")
    content = torch.load(best, weights_only=True)
    content["model"]["fusion.head.bias"].fill_(float("nan"))
    torch.save(content, best)
    out = tmp_path / "out"
    refused(run_script(COMMAND, "--checkpoint", best, "--out", out), "test01_z002", "NaN")
    assert names_in(out) == []


def test_an_evaluation_can_draw_its_own_network(data_root: Path, tmp_path: Path) -> None:
    pairs = [f"data.root={data_root}", "data.image_size=64", "data.cache_mib=0"]
    config = load_config(overrides=[*pairs, "training.device=cpu"])
    split, runtime = open_split(config.data, "test"), build_runtime(config)
    (tmp_path / "figure_8.png").write_text("of an earlier network")
    network = runtime.prepare(create_model("resunet", **SMALL, fusion="add"))
    run = TrainedRun("small", config, config, network, runtime, epoch=1)
    written = save_paper_figures(tmp_path, [run], split, picked=[2, 0])
    assert [path.name for path in written] == ["figure_6.png", "figure_7.png"]
    assert not (tmp_path / "figure_8.png").exists()
    # Left of the panels is paper, in them something is drawn.
    drawn = cv2.imread(str(written[0]))
    assert (drawn[-1] == 255).all()
    assert len(np.unique(drawn)) > 100
