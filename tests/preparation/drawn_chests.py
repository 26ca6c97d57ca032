"""Synthetic chests with lungs and lesions: masks that belong to their images."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
import numpy as np

from datasets.synthetic.generate import write_synthetic_set
from preparation.checks.positions import Position, turn


class Chest(NamedTuple):
    """A scan: (n, side, side) uint8 of grey levels, and masks of 0/255."""

    image: np.ndarray
    lesion: np.ndarray
    lung: np.ndarray


@cache
def chests() -> dict[str, Chest]:
    """Four patients of 12 slices."""
    with TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        counts = {"train": 2, "val": 1, "test": 1}
        write_synthetic_set(
            root, num_patients=counts, num_slices=12, image_size=96, seed=4, min_severity=0.65
        )
        found: dict[str, list[np.ndarray]] = {}
        for path in sorted(root.glob("*/image/*.png")):
            kinds = (path.parent.parent / kind / path.name for kind in ("image", "mask", "lung"))
            planes = np.stack([cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in kinds])
            found.setdefault(path.stem.rsplit("_z", 1)[0], []).append(planes)
    return {name: Chest(*np.stack(planes, 1)) for name, planes in found.items()}


def moved(masks: np.ndarray, position: Position) -> np.ndarray:
    """Masks (n, H, W) in a position."""
    return turn(masks, position.turn)[:: -1 if position.reverse else 1]
