"""A small data folder with a pool, and runs of the procedures that learn from it."""

import shutil
from pathlib import Path

from tests.conftest import write_slices

# Two steps an epoch and more than one stage, round and ramp: all of it in seconds.
SELF_TRAINING = {
    "training.procedure": "self_training",
    "semi_supervised.slices_per_round": 3,
    "semi_supervised.student_epochs": 2,
    "semi_supervised.fine_tune_epochs": 2,
    "semi_supervised.collapse": 0,
}
PROCEDURES = {
    "rounds": SELF_TRAINING,
    "reliable": SELF_TRAINING
    | {
        "semi_supervised.selection": "reliable",
        "semi_supervised.flips": "true",
        "semi_supervised.soft_labels": "true",
        "semi_supervised.lesion_threshold": 0.6,
        "semi_supervised.strong": "{brightness: 0.5, contrast: 0.5, noise: 0.1, blur: 2.0}",
        "training.ema_decay": 0.9,
        "training.epochs": 3,
    },
    "mean_teacher": {
        "training.procedure": "mean_teacher",
        "training.ema_decay": 0.9,
        "semi_supervised.strong.noise": 0.2,
        "semi_supervised.batch_size": 4,
        "semi_supervised.ramp_up": 1.5,
        "semi_supervised.collapse": 0,
    },
    "fixmatch": {
        "training.procedure": "fixmatch",
        "training.ema_decay": 0.9,
        "semi_supervised.lesion_threshold": 0.55,
        "semi_supervised.background_threshold": 0.55,
        "semi_supervised.strong.noise": 0.2,
        "semi_supervised.batch_size": 4,
        "semi_supervised.ramp_up": 1.5,
        "semi_supervised.collapse": 0,
    },
}


def write_pool(root: Path, count: int = 8, seed: int = 7) -> None:
    """Images without masks in unlabelled/, their masks in hidden/."""
    write_slices(root, "unlabelled", count, seed=seed)
    (root / "hidden").mkdir()
    shutil.move(root / "unlabelled" / "mask", root / "hidden" / "mask")


def sets(settings: dict) -> list[str]:
    """--set pairs."""
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


def fast_settings(small_settings: list[str]) -> list[str]:
    """Those of a run that takes a second."""
    network = {"model.name": "unet", "model.args": "{width: 4, num_levels: 2}"}
    fast = network | {"loss.function": "dice", "data.image_size": 32}
    kept = [pair for pair in small_settings if "=" in pair and not pair.startswith("model.args")]
    return [part for pair in kept for part in ("--set", pair)] + sets(fast)
