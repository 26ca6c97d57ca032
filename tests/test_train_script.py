import json
import os
import pickle
import signal
import subprocess
import sys
import time
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


def same_tensors(one: object, two: object) -> bool:
    """Whether two checkpoints' nested values are equal, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same_tensors(one[k], two[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same_tensors, one, two))
    return one == two


def test_a_run_leaves_everything_that_the_readme_promises(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    settings = [*small_settings, "--set", "logging.image_every=1"]
    finished = run_script("train.py", *settings)
    assert finished.code == 0, finished.err
    assert "code " in finished.out
    folder = run_folder(tmp_path)
    assert {p.name for p in folder.iterdir()} == {
        "config.yaml", "best.pt", "last.pt", "run_info.json", "tensorboard",
    }  # fmt: skip
    assert load_config(folder / "config.yaml").model.args["width"] == 4
    info = json.loads((folder / "run_info.json").read_text())
    assert info["epochs"] == 2
    assert info["packages"]["torch"]
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
        "final/dice",
    }
    assert wanted <= set(tags["scalars"])
    assert tags["images"] == ["val/cases"]
    assert "config/text_summary" in tags["tensors"]
    assert [event.step for event in events.Scalars("val/dice")] == [1, 2]


def test_2_epochs_resume_2_epochs_equal_4_epochs_bit_for_bit(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    settings = [
        *small_settings,
        "--set",
        "data.augmentation.rotation=10.0",
        "--set",
        "data.augmentation.noise=0.1",
        "--set",
        "scheduler.patience=0",
    ]
    assert run_script("train.py", *settings, *epoch_set(4)).code == 0
    straight = torch.load(run_folder(tmp_path) / "last.pt", weights_only=True)
    elsewhere = [*settings, "--set", f"checkpoint.save_dir={tmp_path / 'resumed'}"]
    assert run_script("train.py", *elsewhere, *epoch_set(2)).code == 0
    torch.manual_seed(12345)
    assert run_script("train.py", *elsewhere, *epoch_set(4), "--resume").code == 0
    resumed = torch.load(
        tmp_path / "resumed" / "train_config" / "seed2" / "last.pt", weights_only=True
    )
    straight["config"]["checkpoint"] = resumed["config"]["checkpoint"]
    for key in straight:
        assert same_tensors(straight[key], resumed[key]), key
    assert resumed["epoch"] == 4


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


def test_early_stopping_ends_a_run(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    settings = [*small_settings, *epoch_set(30), "--set", "early_stopping.patience=1"]
    settings += ["--set", "optimizer.learning_rate=1e-12"]
    assert run_script("train.py", *settings).code == 0
    info = json.loads((run_folder(tmp_path) / "run_info.json").read_text())
    assert info["epochs"] < 30
    assert info["epochs"] == info["best_epoch"] + 1


def test_existing_run_is_kept_and_resume_needs_one(
    run_script: Callable, refused: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    refused(run_script("train.py", *small_settings, "--resume"), "last.pt", "nothing to resume")
    assert run_script("train.py", *small_settings).code == 0
    before = (run_folder(tmp_path) / "last.pt").read_bytes()
    refused(run_script("train.py", *small_settings), "holds a run already", "--resume")
    assert (run_folder(tmp_path) / "last.pt").read_bytes() == before


def test_resume_refuses_another_network_or_other_settings(
    run_script: Callable, refused: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    assert run_script("train.py", *small_settings).code == 0
    wider = [*small_settings, "--resume", "--set", "model.args.width=6"]
    refused(run_script("train.py", *wider), "last.pt", "another model.args.width")
    faster = [*small_settings, "--resume", "--set", "optimizer.learning_rate=1.0"]
    refused(run_script("train.py", *faster), "another optimizer.learning_rate")


@pytest.mark.parametrize("damage", ["truncated", "code", "text", "foreign"])
def test_resume_refuses_a_damaged_or_foreign_checkpoint(
    run_script: Callable,
    refused: Callable,
    small_settings: list[str],
    tmp_path: Path,
    damage: str,
) -> None:
    folder = run_folder(tmp_path)
    folder.mkdir(parents=True)
    last, trap = folder / "last.pt", tmp_path / "trap"
    if damage == "truncated":
        torch.save({"format": 1, "model": {"a": torch.zeros(1000)}}, last)
        last.write_bytes(last.read_bytes()[:2000])
    elif damage == "code":
        last.write_bytes(pickle.dumps({"format": 1, "model": Trap(str(trap))}))
    elif damage == "text":
        last.write_text("no checkpoint")
    else:
        torch.save({"state_dict": {"a": torch.zeros(3)}}, last)
    refused(run_script("train.py", *small_settings, "--resume"), str(last))
    assert not trap.exists()


class Trap:
    """A pickle that would run code when loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (self.path, "w")


def test_a_loss_that_is_not_finite_ends_the_run_with_the_last_epoch_kept(
    run_script: Callable, refused: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    # Adam's first step has the size of the learning rate: weights of 1e30 overflow float32.
    settings = [*small_settings, "--set", "optimizer.learning_rate=1e30"]
    refused(run_script("train.py", *settings), "not finite", "train0", "weights are unchanged")


@pytest.mark.skipif(os.name == "nt", reason="SIGINT to a child process needs POSIX")
def test_ctrl_c_ends_with_130_and_the_run_can_go_on(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    command = [sys.executable, str(REPOSITORY / "train.py"), *small_settings, *epoch_set(10_000)]
    command += ["--set", "early_stopping.patience=10000"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    last = run_folder(tmp_path) / "last.pt"
    deadline = time.monotonic() + 100
    while not last.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "go on with --resume" in out
    epoch = torch.load(last, weights_only=True)["epoch"]
    assert f"holds epoch {epoch}" in out
    settings = [*small_settings, *epoch_set(epoch + 1), "--set", "early_stopping.patience=10000"]
    finished = run_script("train.py", *settings, "--resume")
    assert finished.code == 0, finished.err
    assert not list(last.parent.glob(".*.tmp"))


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
