"""Overlays of the best, median and worst cases of an evaluation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from datasets.loader import SliceKey, create_loader
from utils.config import Config
from utils.engine import predict
from utils.figures import save_overlay
from utils.loaders import Split, build_dataset
from utils.runtime import Runtime

_CASES_EACH = 3


def pick_cases(rows: Sequence[dict[str, Any]], count: int = _CASES_EACH) -> dict[str, int]:
    """Row indices of the best, median and worst cases with lesion, by Dice.

    Args:
        rows: Meter.rows.
        count: Cases of each kind; fewer where the rows run out.

    Returns:
        Index by label (best_1, median_1, worst_1 ...); no case stands twice.
    """
    order = [i for i, row in enumerate(rows) if row["lesion_px"]] or list(range(len(rows)))
    order.sort(key=lambda i: -rows[i]["dice"])
    middle = max((len(order) - count) // 2, 0)
    places = {
        "best": order[:count],
        "worst": order[::-1][:count],
        "median": order[middle : middle + count],
    }
    picked: dict[str, int] = {}
    for label, indices in places.items():
        for rank, index in enumerate(indices, 1):
            if index not in picked.values():
                picked[f"{label}_{rank}"] = index
    return picked


@torch.no_grad()
def save_overlays(
    folder: Path,
    config: Config,
    network: nn.Module,
    split: Split,
    runtime: Runtime,
    rows: Sequence[dict[str, Any]],
) -> None:
    """Predict the picked cases again and draw them: no map of another case is ever kept.

    Args:
        folder: Existing folder for <label>_<name>.png; overlays of an earlier evaluation go.
        config: Of the checkpoint.
        network: Prepared by the runtime.
        split: The split that the rows are of, in its order.
        runtime: Device, precision, memory format.
        rows: Meter.rows.
    """
    for label in ("best", "median", "worst"):
        for old in folder.glob(f"{label}_[0-9]_*.png"):
            old.unlink()
    picked = pick_cases(rows)
    dataset = build_dataset(config.data, split, augment=False)
    loader = create_loader(dataset, [[SliceKey(i)] for i in picked.values()], num_workers=0)
    for label, (batch, output) in zip(picked, predict(network, loader, runtime), strict=True):
        row = rows[picked[label]]
        save_overlay(
            folder / f"{label}_{row['name']}.png",
            image=batch["image"][0, 0].cpu().numpy(),
            prob=torch.sigmoid(output.mask[0, 0].float()).cpu().numpy(),
            target=batch["mask"][0, 0].cpu().numpy() > 0.5,
            threshold=config.evaluation.threshold,
            title=f"{label.replace('_', ' ')}: {row['name']}, Dice {100 * row['dice']:.1f} %",
        )
