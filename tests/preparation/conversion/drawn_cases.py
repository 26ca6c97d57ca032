"""Sources of a few slices, each of which shows something of its own."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from datasets.card import SourceFacts
from datasets.intensity import LUNG_WINDOW, IntensityRule
from datasets.sources.file_tree import FileTree
from datasets.sources.source import CaseSlice, Source, SourceCase
from utils.errors import UserError

SIDE = 64


def draw(seed: int, side: int = SIDE) -> np.ndarray:
    """A picture of its own per seed, (side, side) uint8."""
    noise = np.random.default_rng(seed).normal(size=(64, 64)).astype(np.float32)
    smooth = cv2.resize(cv2.GaussianBlur(noise, (0, 0), 2.5), (side, side))
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def make_case(
    name: str,
    *,
    patient: str | None = None,
    seed: int | None = None,
    lesion_rows: tuple[int, ...] = (8, 8, 0),
    broken_at: int | None = None,
    is_volume: bool = True,
    split: str | None = None,
    lung: bool = False,
    unlabelled: bool = False,
) -> SourceCase:
    """A case with a slice for each entry of lesion_rows, the rows of 64 that show a lesion."""
    first = 1000 * (sum(name.encode()) if seed is None else seed)

    def read(bits: int) -> Iterator[CaseSlice]:
        for index, rows in enumerate(lesion_rows):
            if index == broken_at:
                raise UserError(f"{name}.nii: truncated; download it again")
            image = draw(first + index)
            if bits == 16:
                image = image.astype(np.uint16) * 257
            label = np.zeros(image.shape, np.uint8)
            label[:rows] = 1
            yield CaseSlice(
                index, image, None if unlabelled else label, image > 100 if lung else None
            )

    return SourceCase(
        name,
        patient or name,
        read,
        num_slices=len(lesion_rows),
        is_volume=is_volume,
        split=split,
        spacing=lambda: (0.7, 0.8, 5.0),
    )


def make_source(
    folder: Path,
    *cases: SourceCase,
    name: str = "first",
    labels: dict[int, str] | None = None,
    intensity: IntensityRule | None = LUNG_WINDOW,
) -> tuple[Source, FileTree]:
    """A source of the given cases, and a folder for its files."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = SourceFacts(name, f"Title of {name}", "CC0", "Nobody, 2020")
    labels = {1: "lesion"} if labels is None else labels
    source = Source(facts, "https://", "1 MB", (), labels, intensity, lambda tree: list(cases))
    return source, FileTree(folder)
