"""Lungs from the data folder to the tables: supervised, scored in rows of their own, derived."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from evaluation.comparison import compare_runs, format_comparison
from evaluation.results import format_deviations, format_table, read_row
from losses.coeranet import CoERANetLoss, hybrid_loss
from models import create_model
from tests.training.small_steps import CPU
from training.data import build_training_data
from utils.config_loader import load_config

WITHOUT_LUNG = 2  # of each split's slices, the first ones


def write_lungs(root: Path, folder: str = "lung") -> None:
    """A box on every slice but the first two of each split."""
    for split in ("train", "val", "test"):
        images = sorted((root / split / "image").iterdir())
        (root / split / folder).mkdir()
        for path in images[WITHOUT_LUNG:]:
            lung = np.zeros((64, 64), np.uint8)
            lung[12:52, 10:54] = 255
            cv2.imwrite(str(root / split / folder / path.name), lung)


@pytest.fixture
def settings(small_settings: list[str]) -> list[str]:
    """A small Co-ERA-Net, for an epoch."""
    pairs = [p for p in small_settings[1::2] if not p.startswith("model.args")]
    pairs += ["model.args.trunk=resnet18", "training.epochs=1", "optimizer.learning_rate=1e-3"]
    return [part for pair in pairs for part in ("--set", pair)]


def experiment(row: str) -> list[str]:
    return ["--experiment", f"dual_supervision/{row}"]


def scored(run_script: Callable, folder: Path, *options: str) -> tuple[str, dict, list[dict]]:
    """What test.py prints, its metrics.json and its per_case.csv."""
    finished = run_script("test.py", "--checkpoint", folder / "best.pt", *options)
    assert finished.code == 0, finished.err
    (metrics,) = folder.rglob("metrics.json")
    with (metrics.parent / "per_case.csv").open() as stream:
        return finished.out, json.loads(metrics.read_text()), list(csv.DictReader(stream))


@pytest.mark.slow
def test_the_lung_head_is_scored_in_rows_of_its_own(
    run_script: Callable, settings: list[str], data_root: Path, tmp_path: Path
) -> None:
    write_lungs(data_root)
    finished = run_script("train.py", *experiment("lung_attention"), *settings)
    assert finished.code == 0, finished.err
    (folder,) = (path.parent for path in (tmp_path / "runs").rglob("best.pt"))
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    (in_validation,) = [event.value for event in events.Scalars("val/lung_dice")]
    assert torch.load(folder / "best.pt", weights_only=True)["scores"]["lung_dice"] == (
        pytest.approx(in_validation)
    )
    out, summary, rows = scored(run_script, folder)
    assert "lungs, mean over slices" in out
    assert "lungs: 2 slices with a lung mask" in out
    assert "lung masks of" not in out
    lung = summary["lung"]
    assert (lung["n"], summary["n"]) == (4 - WITHOUT_LUNG, 4)
    assert summary["lung_masks"] == {"training": "given", "scoring": "given"}
    values = [row["lung_dice"] for row in rows]
    assert values[:WITHOUT_LUNG] == ["nan"] * WITHOUT_LUNG
    known = [float(value) for value in values[WITHOUT_LUNG:]]
    assert np.mean(known) == pytest.approx(lung["dice"])
    assert np.std(known, ddof=1) == pytest.approx(lung["dice_std"])
    assert "Lung Dice" in (folder / "report.html").read_text(encoding="utf-8")
    # Another split, to the score of validation; and none on request.
    shutil.move(folder / "metrics.json", tmp_path)
    _, on_val, _ = scored(run_script, folder, "--split", "val", "--protocol", "cosup")
    assert on_val["lung"]["dice"] == pytest.approx(in_validation, rel=1e-6)
    shutil.rmtree(folder / "val")
    out, without, rows = scored(run_script, folder, "--set", "data.lung=none")
    assert "lungs" not in out
    assert "lung" not in without
    assert "lung_dice" not in rows[0]


def test_no_lung_mask_anywhere_is_refused_before_anything_is_written(
    run_script: Callable,
    refused: Callable,
    settings: list[str],
    data_root: Path,
    tmp_path: Path,
) -> None:
    finished = run_script("train.py", *experiment("lung"), *settings)
    refused(finished, f"{data_root / 'train'}: no slice has a lung mask", "data.lung=derived")
    write_lungs(data_root)
    none = [*experiment("lung"), *settings, "--set", "data.lung=none"]
    refused(run_script("train.py", *none), "data.lung=none", "loss.args.lung_weight=0")
    derived = [*experiment("lung"), *settings, "--set", "data.lung=derived"]
    refused(run_script("train.py", *derived), f"python prepare.py lungs {data_root}")
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_the_baseline_needs_no_lung_mask_and_has_no_lung_rows(
    run_script: Callable, settings: list[str], tmp_path: Path
) -> None:
    assert run_script("train.py", *experiment("baseline"), *settings).code == 0
    (best,) = (tmp_path / "runs").rglob("best.pt")
    out, summary, _ = scored(run_script, best.parent)
    assert "lungs" not in out
    assert not {"lung", "lung_masks"} & summary.keys()
    assert "lung_dice" not in torch.load(best, weights_only=True)["scores"]


@pytest.mark.slow
def test_derived_lungs_are_said_in_every_table(
    run_script: Callable, settings: list[str], data_root: Path, tmp_path: Path
) -> None:
    write_lungs(data_root, "lung_derived")
    derived = [*experiment("lung"), *settings, "--set", "data.lung=derived"]
    assert run_script("train.py", *derived).out.count("derived lung masks on 6") == 1
    (best,) = (tmp_path / "runs").rglob("best.pt")
    out, summary, _ = scored(run_script, best.parent)
    line = "lung masks of training and scoring: derived by the built-in segmentation"
    assert line in out
    assert line in (best.parent / "report.html").read_text(encoding="utf-8")
    assert summary["lung_masks"] == {"training": "derived", "scoring": "derived"}
    row = read_row(best.parent)
    for table in (format_table([row]), format_deviations([row])):
        assert "training and scoring derived by the built-in segmentation" in table
    compared = format_comparison(compare_runs(best.parent, best.parent))
    assert "A and B: trained with lung masks derived" in compared
    lung = summary["lung"]
    assert f"{100 * lung['dice']:.2f} ± {100 * lung['dice_std']:.2f} |" in format_deviations([row])


def test_slices_without_a_lung_mask_add_nothing_to_the_lung_term(data_root: Path) -> None:
    write_lungs(data_root)
    overrides = [f"data.root={data_root}", "data.image_size=64", "training.batch_size=8"]
    overrides += ["data.num_workers=0", "training.device=cpu"]
    data = build_training_data(load_config(overrides=overrides), CPU, needs_lung=True)
    data.batches.set_epoch(1)
    (batch,) = data.train
    known = batch["has_lung"]
    assert known.sum() == 8 - WITHOUT_LUNG
    network = create_model("coeranet", trunk="resnet18").eval()
    output = network(batch["image"])
    output.lung.retain_grad()
    terms = CoERANetLoss()(output, batch)
    expected = hybrid_loss(output.lung[known], batch["lung"][known]).mean()
    torch.testing.assert_close(terms["lung"], expected)
    terms["total"].backward()
    assert [bool(grad.any()) for grad in output.lung.grad] == known.tolist()
