"""A synthetic set of chest CT slices with COVID-19 lesions: made in memory, or written to disk.

It serves where no patient data may be had: quick starts, tests, demonstrations. Anatomy, lesions
and vessels are drawn by the modules phantom, lesions and vessels; here they are scanned (blur,
noise, sharp kernel, window) and written. The ranges were tuned by eye and by these figures of
`python -m datasets.statistics`: percentiles 5 25 50 75 95 or a mean, averaged over the slices
(areas: percentiles over slices with a lesion); 60 synthetic patients of 20 slices, 256 px, seed 0.

    figure                        | synthetic (1200 slices)      | Coronacases, 6 patients (431)
    without lesion, %             | 25                           | 22
    lesion area, px               | 51 215.5 605.5 1336 3849     | 42.2 280 661.5 1170 3705
    image grey                    | 41.2 43.1 68 206.3 236.7     | 41.2 43.2 64.7 211.6 234.1
    body area, % of image         | 38                           | 38.3
    body centre x, y / %          | 50.2 44.8                    | 49.6 45.6
    lung area, % of image         | 15.8                         | 15.2
    components per slice          | 2.1                          | 3.5
    lung noise std                | 9.3                          | 9.7
    lung grey                     | 54.5 65.9 74.7 87.1 149.1    | 55.4 63.8 71.3 84.5 161.6
    lesion grey                   | 88.3 112 135.1 163.4 206.7   | 79.7 105.8 130.7 156.8 191.1
    lesion - lung median          | 60.4                         | 59.4
    lesion texture std            | 22.4                         | 23.4
    lesion grey std               | 36.8                         | 35.3
    slope on lesion border / px   | 14.8                         | 12.5

Unlike real scans: organs are nearly uniform, vessels are straight pieces, the couch has two shapes.
"""

import csv
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from datasets.lesions import Disease, make_disease, paint_lesions
from datasets.manifest import SPLITS
from datasets.phantom import Textures, render_layers
from datasets.phantom_shapes import LUNG_HEIGHT, Anatomy, Frame, make_anatomy
from datasets.scanner import Scanner
from datasets.vessels import VesselTree, make_vessels
from utils.errors import UserError

FOLDERS = ("image", "mask", "label", "lung")
FIELD_OF_VIEW_MM = 370.0  # common for an adult chest
# Run-length coding is the fastest strategy, and on noise no larger than the default.
PNG_OPTIONS = (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
MANIFEST_COLUMNS = (
    "file", "split", "patient", "source", "slice", "height", "width", "spacing_mm", "lesion_px",
    "lung_px",
)  # fmt: skip


class SyntheticSlice(NamedTuple):
    """One axial slice.

    Attributes:
        image: (H, W) uint8, HU window [-1250, 250] mapped to 0..255.
        label: (H, W) uint8, 0 background, 1 ground-glass, 2 consolidation, 3 pleural effusion.
        lung: (H, W) uint8, 0/255, both lungs including the lesions inside them, without effusion.
    """

    image: np.ndarray
    label: np.ndarray
    lung: np.ndarray


class SyntheticSummary(NamedTuple):
    """What `write_synthetic_set` wrote."""

    num_slices: int
    slices_per_split: dict[str, int]
    num_empty: int
    seconds: float


class _Patient(NamedTuple):
    frame: Frame
    anatomy: Anatomy
    tree: VesselTree
    textures: Textures
    disease: Disease
    scanner: Scanner


def _make_patient(rng: np.random.Generator, image_size: int, min_severity: float) -> _Patient:
    offset = 38 * (rng.random() < 0.15)  # some patients lie low in the field of view
    center = (128 + rng.normal(0, 3), np.clip(rng.normal(99, 6), 87, 112) + offset)
    frame = Frame.make(image_size, np.clip(rng.normal(1.03, 0.05), 0.9, 1.12), center)
    anatomy = make_anatomy(rng)
    scanner = Scanner.make(rng)
    tree = make_vessels(rng, anatomy)
    disease = make_disease(rng, anatomy, min_severity)
    return _Patient(frame, anatomy, tree, Textures.make(rng, image_size), disease, scanner)


def generate_patient(
    *,
    seed: int,
    patient: int,
    num_slices: int,
    image_size: int = 256,
    min_severity: float = 0.0,
) -> list[SyntheticSlice]:
    """Slices of one patient from apex to base; a function of its arguments alone.

    Args:
        seed: Seed of the whole set.
        patient: Number of the patient in the set.
        num_slices: Evenly spaced slices over the height of the lungs.
        image_size: Height and width, px.
        min_severity: Least severity of disease, 0 to 1; 0 matches the real set below.
    """
    rng = np.random.default_rng([seed, patient])
    person = _make_patient(rng, image_size, min_severity)
    top, bottom = rng.uniform(0.0, 0.12), rng.uniform(0.92, 1.0)
    slices = []
    for z in np.linspace(top, bottom, num_slices) * LUNG_HEIGHT:
        parts = (person.frame, person.anatomy, person.tree, person.textures)
        layers = render_layers(*parts, z, rng)
        label, lung = paint_lesions(person.frame, person.disease, person.textures, layers, z)
        image = person.scanner.scan(person.frame, person.textures, layers, rng)
        slices.append(SyntheticSlice(image, label, lung.astype(np.uint8) * 255))
    return slices


def _write_slice(folder: Path, name: str, item: SyntheticSlice) -> None:
    images = (item.image, (item.label > 0).astype(np.uint8) * 255, item.label, item.lung)
    for kind, pixels in zip(FOLDERS, images, strict=True):
        path = str(folder / kind / name)
        if not cv2.imwrite(path, pixels, PNG_OPTIONS):
            raise OSError(f"cannot write {path}")


def _write_patient(
    folder: Path, split: str, name: str, slices: list[SyntheticSlice]
) -> list[tuple]:
    """Write one patient's slices; return their manifest rows."""
    rows = []
    for index, item in enumerate(slices):
        file = f"{name}_z{index:03d}.png"
        _write_slice(folder / split, file, item)
        height, width = item.image.shape
        spacing = f"{FIELD_OF_VIEW_MM / width:.3f}"
        counts = (int(np.count_nonzero(item.label)), int(np.count_nonzero(item.lung)))
        rows.append((file, split, name, "synthetic", index, height, width, spacing, *counts))
    return rows


def _make_folders(root: Path, splits: Iterable[str]) -> None:
    for split in splits:
        for kind in FOLDERS:
            (root / split / kind).mkdir(parents=True)


def _check_request(root: Path, num_patients: dict[str, int]) -> None:
    unknown = sorted(set(num_patients) - set(SPLITS))
    if unknown:
        raise UserError(f"unknown split {unknown[0]!r}: choose from {', '.join(SPLITS)}")
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UserError(f"{root} exists and is not empty: remove it or choose another --out")


def write_synthetic_set(
    root: Path,
    *,
    num_patients: dict[str, int],
    num_slices: int,
    image_size: int,
    seed: int,
    min_severity: float = 0.0,
    progress: Callable[[Iterable], Iterable] | None = None,
) -> SyntheticSummary:
    """Write <root>/<split>/{image,mask,label,lung}/<patient>_z<NNN>.png and <root>/manifest.csv.

    All is written beside `root` under a temporary name and renamed at the end, so a set which was
    interrupted never looks like a whole one.

    Args:
        root: Folder to make; must not exist, or be empty.
        num_patients: Patients per split; patients are numbered on from train over val to test.
        num_slices: Slices per patient.
        image_size: Height and width, px.
        seed: Same seed, same bytes.
        min_severity: See generate_patient.
        progress: Wraps the iterable over patients, such as `tqdm.tqdm`.

    Raises:
        UserError: `root` is not empty, or a split is unknown.
    """
    root, start = Path(root), time.perf_counter()
    _check_request(root, num_patients)
    splits = [split for split in SPLITS for _ in range(num_patients.get(split, 0))]
    jobs: Iterable = list(enumerate(splits, 1))
    root.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    rows: list[tuple] = []
    try:
        _make_folders(partial, num_patients)
        for number, split in progress(jobs) if progress else jobs:
            slices = generate_patient(
                seed=seed,
                patient=number,
                num_slices=num_slices,
                image_size=image_size,
                min_severity=min_severity,
            )
            rows += _write_patient(partial, split, f"synthetic_{number:04d}", slices)
        with open(partial / "manifest.csv", "w", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([MANIFEST_COLUMNS, *rows])
        partial.chmod(0o755)  # mkdtemp makes it private
        os.replace(partial, root)  # an empty root is replaced too
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    counts = {split: num_slices * count for split, count in num_patients.items()}
    num_empty = sum(row[MANIFEST_COLUMNS.index("lesion_px")] == 0 for row in rows)
    return SyntheticSummary(len(rows), counts, num_empty, time.perf_counter() - start)
