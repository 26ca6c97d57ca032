"""A data folder in the making: slices as they come, then their splits, card and manifest."""

import csv
import json
import os
import shutil
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.card import DataCard, write_card
from datasets.image_io import write_png
from datasets.manifest import SPLITS
from utils.errors import UserError
from utils.files import quote_cell

MANIFEST_COLUMNS = (
    "file", "split", "patient", "case", "source", "slice", "height", "width", "spacing_mm",
    "lesion_px", "lung_px",
)  # fmt: skip
UNLABELLED = "unlabelled"  # a folder beside the splits, of images alone
_POOL = ".pool"  # where slices wait for their split
_IN_FLIGHT = 8  # slices that wait for a thread; bounds the memory, whatever the size of a scan


class DataSlice(NamedTuple):
    """One slice to be written.

    Attributes:
        name: File stem, unique in the folder: <case>_z012.
        patient: Who; splits never divide a patient.
        case: The scan; a patient may have several.
        source: Name of the data set it is from.
        index: Of the slice in its scan, from 0.
        image: (H, W) uint8 or uint16 grey levels.
        label: (H, W) uint8, 0 background, else classes of lesion; None where nobody has labelled
            it: no mask is written, and its split must be UNLABELLED.
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
    label: np.ndarray | None
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
    lesion_px: int | None
    lung_px: int | None


class FolderSummary(NamedTuple):
    """Slices in all, per split (per fold where there are folds), and without lesion.

    Attributes:
        num_slices: In all.
        slices_per_split: By split; slices of the test part by fold.
        num_empty: Without lesion.
        failures: A line for every case that failed where the rest was to carry on.
        notes: What the user should know, a line each.
    """

    num_slices: int
    slices_per_split: dict[str, int]
    num_empty: int
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class DataFolderWriter:
    """Writes <split>/{image,mask,label,lung,mask_}, manifest.csv, splits.json and dataset.json.

    Args:
        root: An existing, empty folder, as utils.files.whole_folder gives.
        pool: Threads that encode and write; None does it at once.
    """

    def __init__(self, root: Path, pool: Executor | None = None) -> None:
        self.root = root
        self._pool = pool
        self._written: list[WrittenSlice] = []
        self._pending: deque[Future[WrittenSlice]] = deque()
        self._kinds: dict[str, tuple[str, ...]] = {}

    @property
    def written(self) -> list[WrittenSlice]:
        """The slices in the order in which they were added, once all are on the disk."""
        while self._pending:
            self._written.append(self._pending.popleft().result())
        return self._written

    def add(self, item: DataSlice) -> None:
        """Write the images of a slice, in a thread if there are any; its split comes later.

        Raises:
            UserError: There is a slice of that name.
            OSError: The disk is full or read-only; it may be told a few slices late.
        """
        key = item.name.casefold()  # one file on a disk that takes a and A for the same
        if key in self._kinds:
            raise UserError(f"{item.name}: a second slice of this name; rename its scan")
        pixels = {"image": item.image, "mask": item.label, "label": item.label}
        pixels |= {"lung": item.lung, "mask_": item.edge}
        self._kinds[key] = tuple(kind for kind, values in pixels.items() if values is not None)
        for kind in self._kinds[key]:
            (self.root / _POOL / kind).mkdir(parents=True, exist_ok=True)
        if self._pool is None:
            self._written.append(_write_slice(self.root / _POOL, item))
            return
        self._pending.append(self._pool.submit(_write_slice, self.root / _POOL, item))
        if len(self._pending) > _IN_FLIGHT:
            self._written.append(self._pending.popleft().result())

    def remove(self, names: Collection[str]) -> None:
        """Take slices back."""
        for item in self.written:
            if item.name in names:
                for kind in self._kinds.pop(item.name.casefold()):
                    (self.root / _POOL / kind / f"{item.name}.png").unlink()
        self._written = [item for item in self.written if item.name not in names]

    def finish(self, splits: Mapping[str, str], card: DataCard) -> FolderSummary:
        """Move every slice to its split, and write what describes the folder.

        Args:
            splits: Split of every slice by name: train, val, test, or UNLABELLED.
            card: Of the folder.
        """
        self._lay_out(self.root, splits, card, os.rename)
        shutil.rmtree(self.root / _POOL)
        counts = Counter(splits[item.name] for item in self.written)
        ordered = {split: counts[split] for split in (*SPLITS, UNLABELLED) if split in counts}
        return self._summary(ordered)

    def finish_folds(self, folds: Mapping[str, Mapping[str, str]], card: DataCard) -> FolderSummary:
        """Write a data folder per fold, all of them sharing the bytes of every slice.

        Args:
            folds: By name of the folder: split of every slice, as `finish` takes it.
            card: Of every folder.
        """
        for name, splits in folds.items():
            (self.root / name).mkdir()
            self._lay_out(self.root / name, splits, card, _link)
        shutil.rmtree(self.root / _POOL)
        tests = {name: Counter(splits.values())["test"] for name, splits in folds.items()}
        return self._summary(tests)

    def _lay_out(
        self,
        root: Path,
        splits: Mapping[str, str],
        card: DataCard,
        place: Callable[[Path, Path], None],
    ) -> None:
        for item in self.written:
            for kind in self._kinds[item.name.casefold()]:
                folder = root / splits[item.name] / kind
                folder.mkdir(parents=True, exist_ok=True)
                file = f"{item.name}.png"
                place(self.root / _POOL / kind / file, folder / file)
        write_manifest(root, self.written, splits)
        write_splits(root, self.written, splits)
        write_card(root, card)

    def _summary(self, counts: dict[str, int]) -> FolderSummary:
        num_empty = sum(item.lesion_px == 0 for item in self.written)
        return FolderSummary(len(self.written), counts, num_empty)


def _write_slice(pool: Path, item: DataSlice) -> WrittenSlice:
    """Encode and write the images of a slice."""
    images = {
        "image": item.image,
        "mask": _binary(item.label),
        "label": None if item.label is None else item.label.astype(np.uint8),
        "lung": _binary(item.lung),
        "mask_": _binary(item.edge),
    }
    for kind, pixels in images.items():
        if pixels is not None:
            write_png(pool / kind / f"{item.name}.png", pixels)
    return WrittenSlice(
        *item[:5],
        size=item.image.shape,
        spacing_mm="x".join(f"{side:.4g}" for side in item.spacing or ()),
        lesion_px=None if item.label is None else int(np.count_nonzero(item.label)),
        lung_px=None if item.lung is None else int(np.count_nonzero(item.lung)),
    )


def _binary(pixels: np.ndarray | None) -> np.ndarray | None:
    """0 and 255."""
    return None if pixels is None else (pixels > 0).astype(np.uint8) * 255


def _link(source: Path, target: Path) -> None:
    """A second name for a file, a copy where the disk has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def write_manifest(root: Path, written: list[WrittenSlice], splits: Mapping[str, str]) -> None:
    """Write <root>/manifest.csv: a row per slice."""
    with open(root / "manifest.csv", "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(MANIFEST_COLUMNS)
        for item in written:
            writer.writerow(
                (
                    quote_cell(f"{item.name}.png"), splits[item.name], quote_cell(item.patient),
                    quote_cell(item.case), item.source,
                    item.index, *item.size, item.spacing_mm,
                    *("" if count is None else count for count in (item.lesion_px, item.lung_px)),
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
