"""A chest in a wide field of view: body, two lungs, a lesion in one of them, and a couch."""

from pathlib import Path

import cv2
import numpy as np

SHAPE = (96, 80)
BODY_ROWS, BODY_COLUMNS = (30, 70), (14, 68)  # first and last + 1
LUNG_ROWS, LUNG_COLUMNS = (38, 62), (22, 60)


def draw_chest(generator: np.random.Generator) -> dict[str, np.ndarray]:
    """image, mask and lung, (96, 80) uint8."""
    body, lung, mask = (np.zeros(SHAPE, np.uint8) for _ in range(3))
    body[slice(*BODY_ROWS), slice(*BODY_COLUMNS)] = 1
    lung[slice(*LUNG_ROWS), slice(*LUNG_COLUMNS)] = 1
    lung[:, 39:43] = 0
    row, column = generator.integers(44, 54), generator.integers(26, 34)
    cv2.circle(mask, (int(column), int(row)), 5, 1, cv2.FILLED)
    image = 160.0 * body - 120 * lung + 60 * (mask & lung)
    image[80] = 170  # the couch
    image += generator.normal(0, 4, SHAPE) + 10
    return {"image": image.clip(0, 255).astype(np.uint8), "mask": mask & lung, "lung": lung}


def write_chests(root: Path, splits: dict[str, int], seed: int = 0) -> Path:
    """A data folder of so many slices per split; two of a patient."""
    generator = np.random.default_rng(seed)
    for split, count in splits.items():
        for index in range(count):
            for kind, pixels in draw_chest(generator).items():
                path = root / split / kind / f"{split}{index // 2:02d}_z{index:03d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), pixels if kind == "image" else pixels * 255)
    return root
