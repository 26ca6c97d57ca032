"""Grey images, palette images and masks in miniature."""

import shutil
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from datasets.sources.source import CaseSlice, SourceCase

SHAPE = (24, 32)


def grey(seed: int = 0, dtype: type[np.unsignedinteger] = np.uint8) -> np.ndarray:
    """(H, W) noise over the whole range."""
    top = int(np.iinfo(dtype).max)
    return np.random.default_rng(seed).integers(0, top, SHAPE, dtype, endpoint=True)


def smooth(seed: int = 0) -> np.ndarray:
    """(H, W) uint8 that a JPEG hardly changes."""
    noise = np.random.default_rng(seed).uniform(0, 255, SHAPE)
    return cv2.GaussianBlur(noise, (0, 0), 4).astype(np.uint8)


def classes(*values: int, seed: int = 0) -> np.ndarray:
    """(H, W) uint8 blocks of the values and 0; each value is there."""
    order = np.random.default_rng(seed).permutation([0, *values])
    return np.kron(np.resize(order, (3, 4)), np.ones((8, 8), np.uint8)).astype(np.uint8)


def write(path: Path, pixels: np.ndarray) -> Path:
    """Any format that OpenCV writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def write_palette(path: Path, label: np.ndarray, colours: dict[int, tuple[int, int, int]]) -> Path:
    """A palette PNG; `colours` as red, green, blue."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(label).convert("P")
    table = [0] * 768
    for value, colour in colours.items():
        table[3 * value : 3 * value + 3] = colour
    image.putpalette(table)
    image.putdata(label.ravel().tolist())
    image.save(path)
    return path


def zip_folder(folder: Path) -> Path:
    """Replace a folder by an archive of its content, beside it."""
    archive = Path(shutil.make_archive(str(folder), "zip", folder))
    shutil.rmtree(folder)
    return archive


def only(case: SourceCase, bits: int = 8) -> CaseSlice:
    """The slice of a case that has one."""
    (item,) = case.read(bits)
    return item
