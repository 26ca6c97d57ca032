"""Two annotators of the same slices, the second scored as a prediction."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.pairing import find_slices
from evaluation.second_masks import FOLDER, SecondMasks, score_second_masks
from training.split import open_split
from utils.config import Config
from utils.config_loader import load_config
from utils.errors import UserError


@pytest.fixture
def config(data_root: Path) -> Config:
    return load_config(overrides=[f"data.root={data_root}", "data.num_workers=0"])


def draw_second(data_root: Path, folder: Path, *, top: int = 255) -> dict[str, float]:
    """The masks without their upper rows; Dice of each with the first annotator's."""
    folder.mkdir()
    dice = {}
    for entry in find_slices(data_root, "test"):
        first = cv2.imread(str(entry.mask), cv2.IMREAD_GRAYSCALE) > 0
        second = first.copy()
        second[:28] = False
        cv2.imwrite(str(folder / f"{entry.name}.png"), second.astype(np.uint8) * top)
        total = first.sum() + second.sum()
        dice[entry.name] = 2 * (first & second).sum() / total if total else 1.0
    return dice


@pytest.mark.parametrize("top", [1, 255])
def test_the_second_annotator_is_scored_like_a_prediction(
    top: int, data_root: Path, config: Config, tmp_path: Path
) -> None:
    dice = draw_second(data_root, tmp_path / "second", top=top)
    text = score_second_masks(
        tmp_path / "second", open_split(config.data, "test"), config, tmp_path
    )
    summary = json.loads((tmp_path / FOLDER / "metrics.json").read_text())
    assert 0 < min(dice.values()) < 1
    assert summary["dice"] == pytest.approx(np.mean(list(dice.values())))
    assert (summary["n"], summary["n_patients"], summary["precision"]) == (4, 2, 1.0)
    assert "second annotator" in text


def test_slices_without_a_second_mask_are_left_out_and_named(
    data_root: Path, config: Config, tmp_path: Path
) -> None:
    dice = draw_second(data_root, tmp_path / "second")
    name = min(dice)
    (tmp_path / "second" / f"{name}.png").unlink()
    text = score_second_masks(
        tmp_path / "second", open_split(config.data, "test"), config, tmp_path
    )
    assert f"1 slice without a second mask: {name}" in text
    assert json.loads((tmp_path / FOLDER / "metrics.json").read_text())["n"] == 3


def test_what_cannot_be_compared_is_refused(
    data_root: Path, config: Config, tmp_path: Path
) -> None:
    split = open_split(config.data, "test")
    with pytest.raises(UserError, match="no such folder"):
        SecondMasks(tmp_path / "none", split, config)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no mask of a slice of test, which are named as test00"):
        SecondMasks(tmp_path / "empty", split, config)
    dice = draw_second(data_root, tmp_path / "second")
    path = tmp_path / "second" / f"{min(dice)}.png"
    cv2.imwrite(str(path), np.zeros((32, 64), np.uint8))
    with pytest.raises(UserError, match=r"32 x 64 px, but the slice has 64 x 64 px"):
        list(SecondMasks(tmp_path / "second", split, config).cases())


def test_second_masks_need_a_checkpoint_s_data_set(
    run_script: Callable, refused: Callable, tmp_path: Path
) -> None:
    arguments = ["--maps", tmp_path, "--masks", tmp_path, "--second-masks", tmp_path]
    refused(run_script("test.py", *arguments), "--second-masks goes with --checkpoint")
