"""A data folder whose lesions are of two classes."""

import json
from pathlib import Path

import numpy as np

from datasets.card import CARD_FILE
from datasets.image_io import read_gray, write_png

VALUES = {"ground-glass": 1, "consolidation": 2}


def add_classes(root: Path) -> None:
    """Class maps and a card for a folder of discs: the left half of each, and its right half."""
    for mask_path in sorted(root.glob("*/mask/*.png")):
        mask = read_gray(mask_path) > 0
        columns = np.arange(mask.shape[1])[None]
        middle = np.nonzero(mask)[1].mean() if mask.any() else 0
        folder = mask_path.parent.parent / "label"
        folder.mkdir(exist_ok=True)
        write_png(folder / mask_path.name, (mask * (1 + (columns > middle))).astype(np.uint8))
    labels = {str(value): name for name, value in VALUES.items()}
    card = {"sources": [], "intensity": None, "bits": 8, "labels": labels}
    (root / CARD_FILE).write_text(json.dumps(card), encoding="utf-8")
