"""train.py refuses in a line what does not go with slices without labels, and stops a collapse."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.semi_data import PROCEDURES, fast_settings, sets, write_pool


@pytest.fixture
def settings(small_settings: list[str]) -> list[str]:
    return fast_settings(small_settings)


@pytest.fixture
def semi_root(data_root: Path) -> Path:
    write_pool(data_root)
    return data_root


def run_folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "train_config" / "seed2"


@pytest.mark.parametrize(
    ("name", "changes", "parts"),
    [
        ("rounds", {"semi_supervised.slices_per_round": 9}, ("slices_per_round: 9", "pool has 8")),
        ("rounds", {"semi_supervised.teacher": "gone.pt"}, ("gone.pt",)),
        ("reliable", {"semi_supervised.teacher": "t.pt"}, ("semi_supervised.teacher", "reliable")),
        ("reliable", {"training.epochs": 2}, ("training.epochs", "3 or more")),
        ("fixmatch", {"training.ema_decay": "null"}, ("training.ema_decay", "fixmatch")),
        ("fixmatch", {"semi_supervised.batch_size": 3}, ("semi_supervised.batch_size", "pairs")),
        ("fixmatch", {"semi_supervised.batch_size": 10}, ("batch_size: 10", "pool has 8")),
        ("mean_teacher", {"training.accumulation_steps": 2}, ("accumulation_steps",)),
        ("mean_teacher", {"data.guide": "maps"}, ("data.guide",)),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_a_line(
    name: str,
    changes: dict,
    parts: tuple[str, ...],
    run_script: Callable,
    settings: list[str],
    semi_root: Path,
    tmp_path: Path,
    refused: Callable,
) -> None:
    refused(run_script("train.py", *settings, *sets(PROCEDURES[name] | changes)), *parts)
    assert not (run_folder(tmp_path) / "last.pt").exists()


def test_an_empty_pool_and_one_with_a_patient_of_val_or_test_are_refused(
    run_script: Callable, settings: list[str], data_root: Path, refused: Callable
) -> None:
    settings = [*settings, *sets(PROCEDURES["fixmatch"])]
    refused(run_script("train.py", *settings), "unlabelled/image", "few-labels")
    write_pool(data_root)
    for split in ("val", "test"):
        names = [data_root / kind / f"{split}00_z000.png" for kind in ("test/image", "val/image")]
        path = data_root / "unlabelled" / "image" / f"{split}00_z007.png"
        cv2.imwrite(str(path), cv2.imread(str(next(n for n in names if n.exists())), -1))
        refused(run_script("train.py", *settings), f"1 patient of {split}: {split}00")
        path.unlink()


def test_a_teacher_of_another_network_is_refused_and_one_of_the_same_labels_at_once(
    run_script: Callable,
    settings: list[str],
    semi_root: Path,
    tmp_path: Path,
    refused: Callable,
) -> None:
    assert run_script("train.py", *settings, *sets({"training.epochs": 3})).code == 0
    teacher = run_folder(tmp_path).rename(tmp_path / "teacher") / "best.pt"
    settings = [*settings, *sets(PROCEDURES["rounds"] | {"semi_supervised.teacher": teacher})]
    other = run_script("train.py", *settings, *sets({"model.args.width": 8}))
    refused(other, "semi_supervised.teacher", "another network", "model.args")
    finished = run_script("train.py", *settings)
    assert finished.code == 0
    assert finished.out.index("pseudo labels up to round 1") < finished.out.index("epoch   1/")


@pytest.fixture
def half_lesion(semi_root: Path) -> list[str]:
    """Labelled slices half of which is lesion, of which the pool has a tenth; settings to learn."""
    bright = np.arange(64)[None] < np.full((64, 1), 32)
    for path in (semi_root / "train" / "image").iterdir():
        noise = np.random.default_rng(0).normal(0, 8, bright.shape)
        cv2.imwrite(str(path), (60 + 90 * bright + noise).astype(np.uint8))
        cv2.imwrite(str(path.parent.parent / "mask" / path.name), bright.astype(np.uint8) * 255)
    return sets(
        {"training.epochs": 8, "semi_supervised.collapse": 0.6, "loss.function": "bce_dice"}
    )


@pytest.mark.parametrize(
    "name", ["fixmatch", "rounds", pytest.param("mean_teacher", marks=pytest.mark.slow)]
)
def test_next_to_no_lesion_in_the_pool_stops_the_run(
    name: str, run_script: Callable, settings: list[str], half_lesion: list[str], refused: Callable
) -> None:
    changes = {
        "training.ema_decay": 0.5,
        "semi_supervised.ramp_up": 4,
        "semi_supervised.weight": 0.1,
    }
    changes |= {"optimizer.learning_rate": "3e-2", "semi_supervised.slices_per_round": 8}
    own = [*sets(PROCEDURES[name] | changes), *half_lesion]
    refused(run_script("train.py", *settings, *own), "collapsed to background", "semi_supervised.")
