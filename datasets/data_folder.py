"""A data folder in the making: slices as they come, then their splits, card and manifest."""

import csv
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.card import DataCard, write_card
from datasets.image_io import write_png
from datasets.manifest import SPLITS

MANIFEST_COLUMNS = (
    "file", "split", "patient", "case", "source", "slice", "height", "width", "spacing_mm",
    "lesion_px", "lung_px",
)  # fmt: skip
_POOL = ".pool"  # where slices wait for their split


class DataSlice(NamedTuple):
    """One slice to be written.

    Attributes:
        name: File stem, unique in the folder: <case>_z012.
        patient: Who; splits never divide a patient.
        case: The scan; a patient may have several.
        source: Name of the data set it is from.
        index: Of the slice in its scan, from 0.
        image: (H, W) uint8 or uint16 grey levels.
        label: (H, W) uint8, 0 background, else classes of lesion.
        lung: (H, W), 0 outside; None without a lung mask.
        edge: (H, W), 0 outside; None without an edge map of the source's own.
        spacing: Height and width of a px, and the distance of slices where there is one, in mm;
            None where nobody says.
    """

    name: str
    patient: str
    case: str
    source: str
    index: int
    image: np.ndarray
    label: np.ndarray
    lung: np.ndarray | None = None
    edge: np.ndarray | None = None
    spacing: tuple[float, ...] | None = None


class WrittenSlice(NamedTuple):
    """What is known of a slice once it is written; spacing as the manifest has it."""

    name: str
    patient: str
    case: str
    source: str
    index: int
    size: tuple[int, int]
    spacing_mm: str
    lesion_px: int
    lung_px: int | None


class FolderSummary(NamedTuple):
    """Slices in all, per split, and without lesion."""

    num_slices: int
    slices_per_split: dict[str, int]
    num_empty: int


class DataFolderWriter:
    """Writes <split>/{image,mask,label,lung,mask_}, manifest.csv, splits.json and dataset.json.

    Args:
        root: An existing, empty folder, as utils.whole_file.whole_folder gives.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.written: list[WrittenSlice] = []
        self._kinds: dict[str, tuple[str, ...]] = {}

    def add(self, item: DataSlice) -> None:
        """Write the images of a slice; its split comes later."""
        images = {
            "image": item.image,
            "mask": (item.label > 0).astype(np.uint8) * 255,
            "label": item.label.astype(np.uint8),
            "lung": None if item.lung is None else (item.lung > 0).astype(np.uint8) * 255,
            "mask_": None if item.edge is None else (item.edge > 0).astype(np.uint8) * 255,
        }
        present = {kind: pixels for kind, pixels in images.items() if pixels is not None}
        for kind, pixels in present.items():
            folder = self.root / _POOL / kind
            folder.mkdir(parents=True, exist_ok=True)
            write_png(folder / f"{item.name}.png", pixels)
        self._kinds[item.name] = tuple(present)
        self.written.append(
            WrittenSlice(
                *item[:5],
                size=item.image.shape,
                spacing_mm="x".join(f"{side:.4g}" for side in item.spacing or ()),
                lesion_px=int(np.count_nonzero(item.label)),
                lung_px=None if item.lung is None else int(np.count_nonzero(item.lung)),
            )
        )

    def finish(self, splits: Mapping[str, str], card: DataCard) -> FolderSummary:
        """Move every slice to its split, and write what describes the folder.

        Args:
            splits: Split of every slice by name, train, val or test.
            card: Of the folder.
        """
        for item in self.written:
            for kind in self._kinds[item.name]:
                folder = self.root / splits[item.name] / kind
                folder.mkdir(parents=True, exist_ok=True)
                file = f"{item.name}.png"
                os.rename(self.root / _POOL / kind / file, folder / file)
        for kind in (self.root / _POOL).iterdir():
            kind.rmdir()
        (self.root / _POOL).rmdir()
        write_manifest(self.root, self.written, splits)
        write_splits(self.root, self.written, splits)
        write_card(self.root, card)
        counts = Counter(splits[item.name] for item in self.written)
        num_empty = sum(item.lesion_px == 0 for item in self.written)
        ordered = {split: counts[split] for split in SPLITS if split in counts}
        return FolderSummary(len(self.written), ordered, num_empty)


def write_manifest(root: Path, written: list[WrittenSlice], splits: Mapping[str, str]) -> None:
    """Write <root>/manifest.csv: a row per slice."""
    with open(root / "manifest.csv", "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(MANIFEST_COLUMNS)
        for item in written:
            writer.writerow(
                (
                    f"{item.name}.png", splits[item.name], item.patient, item.case, item.source,
                    item.index, *item.size, item.spacing_mm, item.lesion_px,
                    "" if item.lung_px is None else item.lung_px,
                )
            )  # fmt: skip


def write_splits(root: Path, written: list[WrittenSlice], splits: Mapping[str, str]) -> None:
    """Write <root>/splits.json: the patients of each split; a patient in two stands in both."""
    patients = {
        split: sorted({item.patient for item in written if splits[item.name] == split})
        for split in SPLITS
    }
    text = json.dumps({split: names for split, names in patients.items() if names}, indent=2)
    (root / "splits.json").write_text(text + "\n", encoding="utf-8")
