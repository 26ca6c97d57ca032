"""FFR-Net under its own loss from the data folder to the scores, whatever the images are."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from losses.ffrnet import structure_consistency_loss
from models import create_model
from tests.training.small_steps import disc_batch


@pytest.mark.slow
def test_ffrnet_trains_by_its_three_terms_and_is_scored(
    run_script: Callable, small_settings: list[str], data_root: Path, tmp_path: Path
) -> None:
    """Training slices of 16 bits, with an empty mask and a full one; the others as PNG of 8."""
    for path in (data_root / "train" / "image").iterdir():
        cv2.imwrite(str(path.with_suffix(".tif")), cv2.imread(str(path), 0).astype("u2") * 200)
        path.unlink()
    full, empty = sorted((data_root / "train" / "mask").iterdir())[:2]
    cv2.imwrite(str(full), np.full((64, 64), 255, np.uint8))
    cv2.imwrite(str(empty), np.zeros((64, 64), np.uint8))
    pairs = [p for p in small_settings[1::2] if not p.startswith(("model.args", "optimizer"))]
    pairs += ["model.args.depth=18", "optimizer.learning_rate=1e-3"]
    pairs += ["data.image_size=32", "training.epochs=1"]
    settings = [part for pair in pairs for part in ("--set", pair)]
    finished = run_script("train.py", "--experiment", "zoo/ffrnet", *settings)
    assert finished.code == 0, finished.err
    (best,) = (tmp_path / "runs").rglob("best.pt")
    events = EventAccumulator(str(best.parent / "tensorboard")).Reload()
    for part in ("train", "val"):
        terms = {
            name: [event.value for event in events.Scalars(f"{part}/loss/{name}")]
            for name in ("cross_entropy", "dice", "structure", "total")
        }
        assert all(value > 0 for value in terms["structure"])
        sums = np.sum([terms[name] for name in ("cross_entropy", "dice", "structure")], axis=0)
        assert sums == pytest.approx(terms["total"], rel=1e-4)
    assert run_script("test.py", "--checkpoint", best).code == 0
    assert 0 <= json.loads((best.parent / "metrics.json").read_text())["dice"] <= 1


@pytest.mark.slow
def test_the_structure_term_alone_pulls_the_whole_network_to_the_lesion() -> None:
    torch.manual_seed(0)
    network = create_model("ffrnet", depth=18)
    batch = disc_batch()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = structure_consistency_loss(network(batch["image"]).mask, batch["mask"])
        loss.backward()
        assert all(p.grad is not None for p in network.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
