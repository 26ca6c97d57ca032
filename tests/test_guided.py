"""train.py with training.procedure guided: two stages by one command, kept and resumed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

GUIDED = ["training.procedure=guided", "guide.name=unet", "guide.args={width: 4, num_levels: 3}"]
UNET = ["model.name=unet", "model.args={width: 4, num_levels: 2}", "loss.function=dice"]


def sets(*pairs: str) -> list[str]:
    return [part for pair in pairs for part in ("--set", pair)]


@pytest.fixture
def settings(small_settings: list[str]) -> list[str]:
    kept = sets(*(p for p in small_settings if "=" in p and not p.startswith("model.args")))
    return [*kept, *sets(*UNET, "training.deterministic=true")]


def run_folder(tmp_path: Path, name: str = "train_config") -> Path:
    return tmp_path / "runs" / name / "seed2"


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["model"]


def assert_same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> None:
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_one_command_trains_both_and_best_pt_holds_both(
    run_script: Callable, settings: list[str], tmp_path: Path, data_root: Path
) -> None:
    assert run_script("train.py", *settings, *sets(*GUIDED)).code == 0
    folder = run_folder(tmp_path)
    first, second = weights(folder / "first_stage" / "best.pt"), weights(folder / "best.pt")
    held = {key.removeprefix("first."): v for key, v in second.items() if key.startswith("first.")}
    assert_same(held, first)
    assert second["second.encoder.0.0.weight"].shape[1] == 2  # the slice and the map
    # It needs nothing beside itself.
    (folder / "first_stage").rename(tmp_path / "elsewhere")
    scored = run_script("test.py", "--checkpoint", folder / "best.pt")
    assert scored.code == 0
    images = data_root / "test" / "image"
    out = ["--input", images, "--out", tmp_path / "predicted"]
    assert run_script("predict.py", "--checkpoint", folder / "best.pt", *out).code == 0


def test_a_first_stage_that_is_given_is_the_one_that_is_trained(
    run_script: Callable, settings: list[str], tmp_path: Path
) -> None:
    assert run_script("train.py", *settings, *sets(*GUIDED)).code == 0
    both = weights(run_folder(tmp_path) / "best.pt")
    given = tmp_path / "first.pt"
    (run_folder(tmp_path) / "first_stage" / "best.pt").rename(given)
    run_folder(tmp_path).rename(tmp_path / "before")
    pairs = ["training.procedure=guided", f"guide.checkpoint={given}"]
    assert run_script("train.py", *settings, *sets(*pairs)).code == 0
    assert not (run_folder(tmp_path) / "first_stage").exists()
    assert_same(weights(run_folder(tmp_path) / "best.pt"), both)


@pytest.mark.parametrize(
    "ended_in",
    [
        pytest.param("first", marks=pytest.mark.slow),
        "between",
        pytest.param("second", marks=pytest.mark.slow),
    ],
)
def test_it_goes_on_from_any_stage(
    ended_in: str, run_script: Callable, settings: list[str], tmp_path: Path
) -> None:
    whole = [*settings, *sets(*GUIDED, "training.epochs=3")]
    assert run_script("train.py", *whole).code == 0
    folder, kept = run_folder(tmp_path), tmp_path / "whole"
    folder.rename(kept)
    short = "training.epochs=1" if ended_in == "first" else "training.epochs=3"
    assert run_script("train.py", *settings, *sets(*GUIDED, short)).code == 0
    for path in folder.glob("*.pt") if ended_in != "second" else ():
        path.unlink()
    assert run_script("train.py", *whole, "--resume").code == 0
    assert_same(weights(folder / "last.pt"), weights(kept / "last.pt"))


def test_wrong_guides_are_refused_in_a_line(
    run_script: Callable, settings: list[str], tmp_path: Path
) -> None:
    alone = run_script("train.py", *settings, *sets("training.procedure=guided"))
    assert alone.code == 2
    assert "guide.checkpoint" in alone.err
    assert "guide.name" in alone.err
    gone = sets("training.procedure=guided", f"guide.checkpoint={tmp_path / 'gone.pt'}")
    missing = run_script("train.py", *settings, *gone)
    assert (missing.code, "no such checkpoint" in missing.err) == (2, True)
    nothing = run_script("train.py", *settings, *sets(*GUIDED), "--resume")
    assert (nothing.code, "nothing to resume" in nothing.err) == (2, True)
    assert run_script("train.py", *settings, *sets(*GUIDED)).code == 0
    itself = sets("training.procedure=guided", f"guide.checkpoint={run_folder(tmp_path)}/best.pt")
    twice = run_script("train.py", *settings, *itself, *sets("training.seed=3"))
    assert (twice.code, "is guided itself" in twice.err) == (2, True)


@pytest.fixture
def maps(data_root: Path, tmp_path: Path) -> Path:
    """The masks themselves as the maps of the training and of the other slices."""
    for split in ("train", "val", "test"):
        shutil.copytree(data_root / split / "mask", tmp_path / "maps" / split)
    return tmp_path / "maps"


@pytest.mark.slow
def test_a_folder_of_maps_guides_and_is_learnt_from(
    run_script: Callable, settings: list[str], tmp_path: Path, maps: Path, data_root: Path
) -> None:
    pairs = [f"data.guide={maps}", "training.epochs=8", "data.augmentation.horizontal_flip=0.5"]
    assert run_script("train.py", *settings, *sets(*pairs)).code == 0
    best = run_folder(tmp_path) / "best.pt"
    assert weights(best)["encoder.0.0.weight"].shape[1] == 2
    assert run_script("test.py", "--checkpoint", best).code == 0
    guided = json.loads((best.parent / "metrics.json").read_text())["dice_nonempty"]
    for path in (maps / "test").iterdir():
        cv2.imwrite(str(path), np.zeros((64, 64), np.uint8))
    assert run_script("test.py", "--checkpoint", best).code == 0
    blank = json.loads((best.parent / "metrics.json").read_text())["dice_nonempty"]
    assert guided > blank  # the map is what was learnt from
    out = ["--input", data_root / "test" / "image", "--out", tmp_path / "predicted"]
    refused = run_script("predict.py", "--checkpoint", best, *out)
    assert (refused.code, "data.guide" in refused.err) == (2, True)
    without = run_script("test.py", "--checkpoint", best, "--set", "data.guide=null")
    assert (without.code, "was trained with a guide" in without.err) == (2, True)


def test_maps_that_do_not_fit_are_refused_in_a_line(
    run_script: Callable, settings: list[str], maps: Path
) -> None:
    train = ["train.py", *settings, "--set", f"data.guide={maps}"]

    def refusal(*arguments: str) -> str:
        ended = run_script(*train, *arguments)
        assert ended.code == 2
        (line,) = ended.err.strip().splitlines()
        return line

    both = refusal(*sets(*GUIDED))
    assert "makes the maps itself" in both
    for path in (maps / "val").iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) // 255)
    assert "holds 0 and 1 alone" in refusal()
    path = sorted((maps / "train").iterdir())[1]
    cv2.imwrite(str(path), np.zeros((32, 64), np.uint8))
    assert f"{path}: 32 x 64 px" in refusal()
    path.unlink()
    assert f"no map for 1 of 8 slices of train ({path.stem})" in refusal()
    for other in list((maps / "train").iterdir()):
        other.rename(other.with_name(f"other_{other.name}"))
    assert "these are maps of other slices" in refusal()
    shutil.rmtree(maps)
    assert "no such folder" in refusal()
