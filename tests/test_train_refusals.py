"""What train.py says of bad data and bad settings, before it writes anything."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch


def damage_no_data(root: Path) -> str:
    root.rename(root.with_name("moved"))
    return "python prepare.py synthetic"


def damage_image_without_mask(root: Path) -> str:
    (root / "train/mask/train00_z000.png").unlink()
    return str(root / "train/image/train00_z000.png")


def damage_mask_without_image(root: Path) -> str:
    (root / "train/image/train00_z000.png").unlink()
    return str(root / "train/mask/train00_z000.png")


def damage_sizes(root: Path) -> str:
    cv2.imwrite(str(root / "train/mask/train00_z000.png"), np.zeros((32, 32), np.uint8))
    return "32 x 32 px"


def damage_truncated(root: Path) -> str:
    path = root / "val/image/val00_z000.png"
    path.write_bytes(path.read_bytes()[:-40])
    return f"{path}: a truncated"


def damage_values(root: Path) -> str:
    mask = np.zeros((64, 64), np.uint8)
    mask[0, :3] = 7, 128, 255
    cv2.imwrite(str(root / "train/mask/train00_z000.png"), mask)
    return "unexpected mask values 7, 128"


def damage_leak(root: Path) -> str:
    for kind in ("image", "mask"):
        (root / "val" / kind / "val00_z000.png").rename(root / "val" / kind / "train00_z099.png")
    return "train00 in train and val"


@pytest.mark.parametrize(
    "damage",
    [
        damage_no_data,
        damage_image_without_mask,
        damage_mask_without_image,
        damage_sizes,
        damage_truncated,
        damage_values,
        damage_leak,
    ],
)
def test_bad_data_is_named_before_anything_is_written(
    run_script: Callable,
    refused: Callable,
    small_settings: list[str],
    data_root: Path,
    tmp_path: Path,
    damage: Callable[[Path], str],
) -> None:
    wanted = damage(data_root)
    refused(run_script("train.py", *small_settings), wanted)
    assert not (tmp_path / "runs").exists()


def test_patient_overlap_can_be_allowed(
    run_script: Callable, small_settings: list[str], data_root: Path
) -> None:
    damage_leak(data_root)
    settings = [*small_settings, "--set", "data.allow_patient_overlap=true"]
    assert run_script("train.py", *settings).code == 0


@pytest.mark.parametrize(
    ("pairs", "parts"),
    [
        (["learning_rate=1"], ["did you mean optimizer.learning_rate?"]),
        (["optimizer.learning_rat=1"], ["did you mean optimizer.learning_rate?"]),
        (["data.image_size=72"], ["data.image_size", "use [80, 80]"]),
        (["model.name=resunett"], ["model.name", "did you mean resunet?"]),
        (["model.args.widht=4"], ["model.args.widht", "did you mean width?"]),
        (["loss.function=dise"], ["loss.function", "did you mean dice?"]),
        (["model.args.edge_stages=[]"], ["edge side outputs", "loss.args"]),
        (["training.device=cuda"], ["training.device"]),
    ],
)
def test_bad_settings_are_named_before_anything_is_written(
    run_script: Callable,
    refused: Callable,
    small_settings: list[str],
    tmp_path: Path,
    pairs: list[str],
    parts: list[str],
) -> None:
    if "training.device=cuda" in pairs and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA GPU")
    settings = [*small_settings, *(part for pair in pairs for part in ("--set", pair))]
    refused(run_script("train.py", *settings), *parts)
    assert not (tmp_path / "runs").exists()


def test_unknown_experiment_is_answered_with_the_nearest(
    run_script: Callable, refused: Callable
) -> None:
    refused(run_script("train.py", "--experiment", "quikstart"), "did you mean quickstart?")


def test_a_wrong_argument_is_one_line(run_script: Callable, refused: Callable) -> None:
    refused(run_script("train.py", "--epoch", "3"), "--epoch")


def test_validation_that_no_epoch_could_win_is_refused_at_the_start(
    run_script: Callable, refused: Callable, small_settings: list[str], data_root: Path
) -> None:
    for path in (data_root / "val" / "mask").iterdir():
        cv2.imwrite(str(path), np.zeros((64, 64), np.uint8))
    policy = ["--set", "evaluation.empty_target=nan"]
    refused(run_script("train.py", *small_settings, *policy), "val", "evaluation.empty_target=nan")
    assert run_script("train.py", *small_settings).code == 0
