"""A run on slices cropped to body or lungs: trained, scored at full size, predicted alike."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import Finished
from tests.cropped_slices import BODY_COLUMNS, BODY_ROWS, SHAPE, write_chests
from utils.files import parse_json

SPLITS = {"train": 8, "val": 4, "test": 4}


@pytest.fixture
def chests(small_settings: list[str], tmp_path: Path) -> tuple[Path, list[str]]:
    """A data folder, and the settings of a run on it."""
    root = write_chests(tmp_path / "chests", SPLITS)
    settings = [part.replace(str(tmp_path / "data"), str(root)) for part in small_settings]
    return root, [*settings, "--set", "training.epochs=1"]


def test_test_and_predict_see_the_same_crop_and_write_at_full_size(
    chests: tuple[Path, list[str]], run_script: Callable[..., Finished], tmp_path: Path
) -> None:
    root, settings = chests
    assert run_script("train.py", *settings, "--set", "data.crop=body").code == 0
    best = tmp_path / "runs" / "train_config" / "seed2" / "best.pt"
    scored = run_script("test.py", "--checkpoint", best, "--save-maps", "--no-report")
    assert scored.code == 0, scored.err
    scores = parse_json((best.parent / "metrics.json").read_text())
    assert scores["scored_at"] == list(SHAPE)
    out = tmp_path / "out"
    images = root / "test" / "image"
    predicted = run_script("predict.py", "--checkpoint", best, "--input", images, "--out", out)
    assert predicted.code == 0, predicted.err
    assert "64 x 64 px of the body" in predicted.out
    inside = np.zeros(SHAPE, bool)
    inside[BODY_ROWS[0] - 2 : BODY_ROWS[1] + 2, BODY_COLUMNS[0] - 2 : BODY_COLUMNS[1] + 2] = True
    for path in images.iterdir():
        written = cv2.imread(str(out / f"{path.stem}_prob.png"), cv2.IMREAD_UNCHANGED)
        scored_map = cv2.imread(str(best.parent / "maps" / path.name), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(written, scored_map)
        assert written[inside].any()
        assert not written[~inside].any()


def test_the_crop_is_the_checkpoints_own(
    chests: tuple[Path, list[str]],
    run_script: Callable[..., Finished],
    refused: Callable[..., None],
    tmp_path: Path,
) -> None:
    root, settings = chests
    assert run_script("train.py", *settings, "--set", "data.crop=lungs").code == 0
    best = tmp_path / "runs" / "train_config" / "seed2" / "best.pt"
    score = ("test.py", "--checkpoint", best)
    refused(run_script(*score, "--set", "data.crop=null"), "--set data.crop: the checkpoint")
    refused(run_script(*score, "--protocol", "cosup"), "scores what the network sees", "infnet")
    out = tmp_path / "out"
    predict = ("predict.py", "--checkpoint", best, "--out", out, "--input", root / "test" / "image")
    refused(run_script(*predict), "cropped to the lungs", "data.crop=body")
    assert not out.exists()


def test_lungs_of_some_slices_alone_are_refused(
    chests: tuple[Path, list[str]], run_script: Callable[..., Finished], refused: Callable
) -> None:
    root, settings = chests
    next((root / "train" / "lung").iterdir()).unlink()
    finished = run_script("train.py", *settings, "--set", "data.crop=lungs")
    refused(finished, "1 of 8 slices have no lung mask", "data.lung=derived", "data.crop=body")


def test_without_any_lung_mask_the_body_is_seen_and_a_warning_says_so(
    chests: tuple[Path, list[str]], run_script: Callable[..., Finished]
) -> None:
    _, settings = chests
    pairs = ("data.crop=lungs", "data.lung=none")
    finished = run_script("train.py", *settings, *(part for p in pairs for part in ("--set", p)))
    assert finished.code == 0, finished.err
    assert "no slice has a lung mask (data.lung=none), so slices are cropped" in finished.err


def test_x_rays_are_not_cropped(
    chests: tuple[Path, list[str]], run_script: Callable[..., Finished], refused: Callable
) -> None:
    root, settings = chests
    card = '{"sources": [], "intensity": null, "bits": 8, "labels": {}, "modality": "DX"}'
    (root / "dataset.json").write_text(card)
    refused(run_script("train.py", *settings, "--set", "data.crop=body"), "X-rays", "set null")
