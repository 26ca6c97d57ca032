import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from utils.config_loader import load_config

REPOSITORY = Path(__file__).resolve().parent.parent


def run_folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "train_config" / "seed2"


def epoch_set(epochs: int) -> list[str]:
    return ["--set", f"training.epochs={epochs}"]


def test_a_run_leaves_everything_that_the_readme_promises(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    settings = [*small_settings, "--set", "logging.image_every=1"]
    finished = run_script("train.py", *settings)
    assert finished.code == 0, finished.err
    assert "code " in finished.out
    folder = run_folder(tmp_path)
    assert {p.name for p in folder.iterdir()} == {
        "config.yaml", "best.pt", "last.pt", "last.previous.pt", "run_info.json", "tensorboard",
    }  # fmt: skip
    assert load_config(folder / "config.yaml").model.args["width"] == 4
    info = json.loads((folder / "run_info.json").read_text())
    assert info["epochs"] == 2
    assert info["packages"]["torch"]
    assert info["seed"] == 2
    assert [session["from_epoch"] for session in info["sessions"]] == [0]
    events = EventAccumulator(str(folder / "tensorboard"), {"images": 0}).Reload()
    tags = events.Tags()
    wanted = {
        f"{split}/loss/{term}"
        for split in ("train", "val")
        for term in ("edge", "semantic", "fusion", "total")
    }
    wanted |= {
        "val/dice",
        "val/sensitivity",
        "val/precision",
        "val/mae",
        "val/e_measure_mean",
        "val/s_measure",
        "optimizer/learning_rate",
        "speed/images_per_second",
        "memory/peak_mib",
        "val_best/dice",
    }
    assert wanted <= set(tags["scalars"])
    assert tags["images"] == ["val/cases"]
    assert "config/text_summary" in tags["tensors"]
    assert [event.step for event in events.Scalars("val/dice")] == [1, 2]


def test_every_parameter_is_trained_and_saved(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    from models import create_model

    assert run_script("train.py", *small_settings).code == 0
    content = torch.load(run_folder(tmp_path) / "last.pt", weights_only=True)
    torch.manual_seed(2)
    fresh = create_model("resunet", **content["config"]["model"]["args"])
    assert content["model"].keys() == fresh.state_dict().keys()
    for name, parameter in fresh.named_parameters():
        assert not torch.equal(parameter, content["model"][name]), name


def test_the_kept_network_is_the_moving_average(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    settings = [*small_settings, "--set", "training.ema_decay=0.5", "--set", "training.epochs=1"]
    assert run_script("train.py", *settings).code == 0
    best = torch.load(run_folder(tmp_path) / "best.pt", weights_only=True)
    last = torch.load(run_folder(tmp_path) / "last.pt", weights_only=True)
    assert best["model"].keys() == last["model"].keys()
    for key, value in best["model"].items():
        assert torch.equal(value, last["ema"][f"module.{key}"]), key
    name = "encoder.stem.0.weight"
    assert not torch.equal(best["model"][name], last["model"][name])


def test_early_stopping_ends_a_run(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    settings = [*small_settings, *epoch_set(30), "--set", "early_stopping.patience=1"]
    settings += ["--set", "optimizer.learning_rate=1e-12"]
    assert run_script("train.py", *settings).code == 0
    info = json.loads((run_folder(tmp_path) / "run_info.json").read_text())
    assert info["epochs"] < 30
    assert info["epochs"] == info["best_epoch"] + 1


def test_a_loss_that_is_not_finite_ends_the_run_with_the_last_epoch_kept(
    run_script: Callable, refused: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    # Adam's first step has the size of the learning rate: weights of 1e30 overflow float32.
    settings = [*small_settings, "--set", "optimizer.learning_rate=1e30"]
    refused(run_script("train.py", *settings), "not finite", "train0", "weights are unchanged")


def test_images_of_many_sizes_are_told_in_one_short_line(
    run_script: Callable, small_settings: list[str], data_root: Path
) -> None:
    for index in range(6):
        for kind in ("image", "mask"):
            path = data_root / "train" / kind / f"train{index // 2:02d}_z{index:03d}.png"
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            cv2.imwrite(str(path), image[: 40 + index])
    finished = run_script("train.py", *small_settings)
    assert finished.code == 0, finished.err
    assert "64 x 64 px, " in finished.out
    assert " and 4 other sizes, masks 0/255" in finished.out


def test_two_deterministic_runs_are_equal_bit_for_bit(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    models = []
    for name in ("first", "second"):
        settings = [*small_settings, "--set", f"checkpoint.save_dir={tmp_path / name}"]
        settings += ["--set", "training.deterministic=true", "--set", "data.num_workers=2"]
        settings += ["--set", "data.augmentation.rotation=10"]
        torch.manual_seed(len(models))
        assert run_script("train.py", *settings).code == 0
        folder = tmp_path / name / "train_config" / "seed2"
        models.append(torch.load(folder / "last.pt", weights_only=True)["model"])
        assert json.loads((folder / "run_info.json").read_text())["deterministic"] is True
    assert all(torch.equal(models[0][key], models[1][key]) for key in models[0])


def test_compilation_and_recomputation_exclude_each_other(
    run_script: Callable, refused: Callable, small_settings: list[str]
) -> None:
    both = ("training.compile=true", "training.activation_checkpointing=true")
    settings = [part for pair in both for part in ("--set", pair)]
    refused(run_script("train.py", *small_settings, *settings), *[pair[:-5] for pair in both])


@pytest.mark.slow
def test_a_compiled_run_is_the_eager_run_to_rounding(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    losses = {}
    for compile_ in ("false", "true"):
        settings = [*small_settings, "--set", f"checkpoint.save_dir={tmp_path / compile_}"]
        settings += ["--set", f"training.compile={compile_}", "--set", "training.ema_decay=0.5"]
        settings += ["--set", "optimizer.learning_rate=1e-4"]
        assert run_script("train.py", *settings).code == 0
        folder = tmp_path / compile_ / "train_config" / "seed2"
        events = EventAccumulator(str(folder / "tensorboard")).Reload()
        losses[compile_] = [event.value for event in events.Scalars("train/loss/total")]
        assert run_script("test.py", "--checkpoint", folder / "best.pt").code == 0
    assert losses["true"] == pytest.approx(losses["false"], rel=1e-4)


def test_resuming_a_finished_run_changes_nothing(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    assert run_script("train.py", *small_settings).code == 0
    files = [path for path in run_folder(tmp_path).rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    finished = run_script("train.py", *small_settings, "--resume")
    assert finished.code == 0, finished.err
    assert "finished before" in finished.out
    assert "best validation Dice" in finished.out
    assert {p for p in run_folder(tmp_path).rglob("*") if p.is_file()} == set(files)
    assert all(path.read_bytes() == content for path, content in before.items())
