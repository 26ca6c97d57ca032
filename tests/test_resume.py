"""A run that stops and goes on is the run that never stopped."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from utils.files import DRAFTS

REPOSITORY = Path(__file__).resolve().parent.parent
# Everything that draws, averages or counts.
_EVERYTHING = {
    "data.augmentation.rotation": 10.0,
    "data.augmentation.noise": 0.1,
    "data.augmentation.blur": 1.0,
    "data.augmentation.curve": 0.3,
    "scheduler.patience": 0,
    "early_stopping.patience": 100,
    "training.ema_decay": 0.9,
    "training.ema_warm_up": True,
    "training.batch_size": 3,
}


def run_folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "train_config" / "seed2"


def pairs(settings: dict[str, Any]) -> list[str]:
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


def epoch_set(epochs: int) -> list[str]:
    return pairs({"training.epochs": epochs})


def same_tensors(one: object, two: object) -> bool:
    """Whether two checkpoints' nested values are equal, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same_tensors(one[k], two[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same_tensors, one, two))
    return one == two


def load_comparable(folder: Path) -> dict[str, Any]:
    """A run's last.pt without what depends on the clock or the folder."""
    content = torch.load(folder / "last.pt", weights_only=True)
    del content["seconds"], content["record"]["seconds"], content["config"]["checkpoint"]
    return content


def assert_same_run(one: dict[str, Any], two: dict[str, Any]) -> None:
    for key in one:
        assert same_tensors(one[key], two[key]), key


def start_training(settings: list[str]) -> subprocess.Popen[str]:
    """train.py in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(REPOSITORY / "train.py"), *settings],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 100
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"training.accumulation_steps": 2}, marks=pytest.mark.slow),
        pytest.param(
            {"training.scales": "[0.75,1.0]", "scheduler.milestones": "[3,4]"},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_2_epochs_resume_2_epochs_equal_4_epochs_bit_for_bit(
    run_script: Callable, small_settings: list[str], tmp_path: Path, options: dict[str, Any]
) -> None:
    settings = [*small_settings, *pairs(_EVERYTHING | options)]
    assert run_script("train.py", *settings, *epoch_set(4)).code == 0
    straight = load_comparable(run_folder(tmp_path))
    elsewhere = [*settings, "--set", f"checkpoint.save_dir={tmp_path / 'resumed'}"]
    assert run_script("train.py", *elsewhere, *epoch_set(2)).code == 0
    torch.manual_seed(12345)
    assert run_script("train.py", *elsewhere, *epoch_set(4), "--resume").code == 0
    resumed = load_comparable(tmp_path / "resumed" / "train_config" / "seed2")
    assert_same_run(straight, resumed)
    assert resumed["epoch"] == 4


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGTERM to a child process needs POSIX")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_run_stopped_within_an_epoch_goes_on_bit_for_bit(
    run_script: Callable, small_settings: list[str], tmp_path: Path, precision: str
) -> None:
    settings = [*small_settings, *pairs(_EVERYTHING | {"training.precision": precision})]
    settings += pairs({"training.batch_size": 1, "training.epochs": 8})
    assert run_script("train.py", *settings).code == 0
    straight = load_comparable(run_folder(tmp_path))
    save_dir = pairs({"checkpoint.save_dir": tmp_path / "stopped", "checkpoint.every_steps": 3})
    folder = tmp_path / "stopped" / "train_config" / "seed2"
    process = start_training([*settings, *save_dir])
    wait_for(folder / "last.pt")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, err
    assert err.strip().splitlines()[-1] == "stopped by SIGTERM"
    assert "Traceback" not in err
    stopped = torch.load(folder / "last.pt", weights_only=True)
    assert f"holds epoch {stopped['epoch']}" in out
    assert stopped["epoch"] < 8
    assert run_script("train.py", *settings, *save_dir, "--resume").code == 0
    resumed = load_comparable(folder)
    assert_same_run(straight, resumed)


def test_a_damaged_checkpoint_is_replaced_by_the_one_before(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    settings = [*small_settings, *pairs(_EVERYTHING), *epoch_set(3)]
    assert run_script("train.py", *settings).code == 0
    straight = load_comparable(run_folder(tmp_path))
    last = run_folder(tmp_path) / "last.pt"
    last.write_bytes(last.read_bytes()[:5000])
    finished = run_script("train.py", *settings, "--resume")
    assert finished.code == 0
    assert f"warning: {last}: truncated or damaged" in finished.out
    assert "epoch   3/3" in finished.out
    assert "epoch   2/3" not in finished.out
    resumed = load_comparable(run_folder(tmp_path))
    assert_same_run(straight, resumed)


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


def test_weights_alone_cannot_go_on(
    run_script: Callable, refused: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    assert run_script("train.py", *small_settings).code == 0
    folder = run_folder(tmp_path)
    (folder / "last.pt").write_bytes((folder / "best.pt").read_bytes())
    refused(run_script("train.py", *small_settings, "--resume"), "last.pt: holds weights but not")


class Trap:
    """A pickle that would run code when loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (self.path, "w")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGINT to a child process needs POSIX")
def test_ctrl_c_ends_with_130_and_the_run_can_go_on(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> None:
    process = start_training(
        [*small_settings, *epoch_set(10_000), "--set", "early_stopping.patience=10000"]
    )
    last = run_folder(tmp_path) / "last.pt"
    wait_for(last)
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
    assert not list(last.parent.glob(DRAFTS))
