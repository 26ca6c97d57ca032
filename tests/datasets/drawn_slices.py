"""Slices drawn in a few lines, and their files."""

from pathlib import Path

import cv2
import numpy as np

from datasets.inspection import inspect_slices
from datasets.pairing import find_slices
from datasets.slices import SliceDataset
from datasets.transforms import Augmentation, SliceTransform

SHAPE = (48, 40)
STRONGEST = Augmentation(
    horizontal_flip=0.5,
    rotation=30,
    translation=0.2,
    scale=0.3,
    brightness=0.5,
    contrast=0.5,
    noise=0.2,
    low_resolution=0.5,
    blur=1.0,
    curve=0.5,
    gamma=0.5,
    window=0.2,
)


def box(top: int, left: int, side: int = 12, value: int = 1) -> np.ndarray:
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[top : top + side, left : left + side] = value
    return pixels


MASK, LUNG, EDGE = box(6, 4), box(4, 2, side=20), box(30, 20, side=5)


def grey(top: int = 255) -> np.ndarray:
    """Noise, brighter on the lesion, of 8 or 16 bits."""
    noise = np.random.default_rng(3).uniform(0, 0.4, SHAPE)
    return ((noise + 0.5 * MASK) * top).astype(np.uint8 if top < 256 else np.uint16)


def write(root: Path, name: str, **images: np.ndarray) -> Path:
    """Write one training slice: image=, mask=, mask_=, lung=."""
    for kind, pixels in images.items():
        path = root / "train" / kind / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), pixels)
    return root


def write_masks(root: Path, *masks: np.ndarray) -> Path:
    """Write slices a, b, ... with the given masks."""
    for name, mask in zip("abcdefgh", masks, strict=False):
        write(root, name, image=grey(), mask=mask)
    return root


def open_dataset(
    root: Path,
    image_size: tuple[int, int] = SHAPE,
    augmentation: Augmentation | None = None,
    lesion_values: list[int] | None = None,
    edge_width: int = 2,
) -> SliceDataset:
    slices = find_slices(root, "train")
    encoding = inspect_slices(slices, lesion_values).encoding
    return SliceDataset(slices, encoding, SliceTransform(image_size, augmentation), edge_width)
