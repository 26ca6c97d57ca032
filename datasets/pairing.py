"""Which files of a data folder belong together: image, mask, edge and lung by file stem."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from datasets.data_folder import UNLABELLED
from datasets.image_io import IMAGE_SUFFIXES
from datasets.manifest import (
    ManifestEntry,
    read_manifest,
    slice_key,
    stem_of,
    unlisted_slices,
)
from datasets.slice_names import patient_of_stem
from utils.errors import UserError
from utils.messages import first_of

HIDDEN = "hidden"  # has masks of unlabelled slices: pseudo labels are scored by them, no more
# Where lung masks lie, by where they are from; derived ones are those of prepare.py lungs.
LUNG_FOLDERS = {"given": "lung", "derived": "lung_derived", "none": None}


class SliceFiles(NamedTuple):
    """The files of one slice; edge and lung are None where the folder has none, guide unless asked.

    The mask is None where nobody has drawn one, as in the folder unlabelled; it is a class map
    where classes are told apart. Spacing is height and width of a px in mm, None where no manifest
    says; so is distance, of the slices of its scan.
    """

    name: str
    patient: str
    image: Path
    mask: Path | None
    edge: Path | None
    lung: Path | None
    spacing: tuple[float, float] | None = None
    guide: Path | None = None
    distance: float | None = None


def find_slices(
    root: Path, split: str, lung: str = "given", *, of_classes: bool = False
) -> list[SliceFiles]:
    """The slices of <root>/<split>/{image,mask,mask_,lung}, paired by stem and sorted by name.

    Args:
        root: The data folder.
        split: train, val or test.
        lung: Which lung masks, a key of LUNG_FOLDERS.
        of_classes: Take the class maps of the folder label, where there is one, for masks.

    Returns:
        One entry per image. mask_ (edges) and lung may be absent, whole or per slice.

    Raises:
        UserError: No such folder, no images, an image without a mask or the reverse, derived lung
            masks that were never made, or a manifest that is unfit or names none of them.
    """
    folder = root / split
    if not (folder / "image").is_dir():
        raise UserError(
            f"data.root: no folder {folder / 'image'}; "
            "'python prepare.py synthetic --out data/synthetic' makes a data set, "
            "--set data.root=DIR names another"
        )
    kind = "label" if of_classes and (folder / "label").is_dir() else "mask"
    images, masks = images_by_stem(folder / "image"), images_by_stem(folder / kind)
    if not images and not masks:
        raise UserError(f"{folder / 'image'}: no images ({', '.join(IMAGE_SUFFIXES)})")
    _check_pairs(images, masks, folder / kind, "mask")
    _check_pairs(masks, images, folder / "image", "image")
    edges, lungs = images_by_stem(folder / "mask_"), _lungs(root, folder, lung)
    entries = read_manifest(root)
    if unlisted := unlisted_slices(root, split, list(images)):
        print(
            f"warning: {root / 'manifest.csv'}: no row for {len(unlisted)} of {len(images)} images "
            f"of {split} ({first_of(unlisted)}): their patients are told by file names",
            file=sys.stderr,
        )
    return [
        SliceFiles(
            *(stem, entry.patient, image, masks[stem], edges.get(stem), lungs.get(stem)),
            spacing=entry.spacing,
            distance=entry.distance,
        )
        for stem, image in sorted(images.items())
        for entry in [
            entries.get(slice_key(split, stem))
            or ManifestEntry(patient_of_stem(stem), spacing=None)
        ]
    ]


def find_unlabelled(root: Path) -> list[SliceFiles]:
    """The slices of <root>/unlabelled/image, sorted by name; [] where there are none."""
    entries = read_manifest(root)
    found = []
    for stem, image in sorted(images_by_stem(root / UNLABELLED / "image").items()):
        unlisted = ManifestEntry(patient_of_stem(stem), spacing=None)
        entry = entries.get(slice_key(UNLABELLED, stem), unlisted)
        found.append(SliceFiles(stem, entry.patient, image, None, None, None, entry.spacing))
    return found


def _check_pairs(
    files: Mapping[str, Path], others: Mapping[str, Path], folder: Path, role: str
) -> None:
    """Refuse a file whose other half is not in its folder."""
    for stem, path in files.items():
        if stem not in others:
            raise UserError(f"{path}: its {role} {folder / stem}.* is missing")


def resolve_split(root: Path, split: str) -> str:
    """The split, or val where the data folder has no test (the paper tests on its val part)."""
    if split == "test" and not (root / "test").is_dir() and (root / "val").is_dir():
        return "val"
    return split


def check_patients(splits: Mapping[str, Sequence[SliceFiles]]) -> None:
    """Refuse a patient that stands in two splits: the score would be of remembered patients.

    Raises:
        UserError: Names the patients and their splits.
    """
    homes: dict[str, set[str]] = {}
    for split, slices in splits.items():
        for entry in slices:
            homes.setdefault(entry.patient, set()).add(split)
    shared = {patient: sorted(found) for patient, found in homes.items() if len(found) > 1}
    if shared:
        listed = "; ".join(f"{p} in {' and '.join(s)}" for p, s in sorted(shared.items())[:5])
        more = f" and {len(shared) - 5} more" if len(shared) > 5 else ""
        raise UserError(
            f"data.root: patients that stand in more than one split: {listed}{more}; split by "
            "patient, or set data.allow_patient_overlap=true for a split by slice as in the paper"
        )


def _lungs(root: Path, folder: Path, lung: str) -> dict[str, Path]:
    """The lung masks of a split by stem."""
    place = LUNG_FOLDERS[lung]
    if lung == "derived" and not (folder / place).is_dir():
        raise UserError(
            f"data.lung: no folder {folder / place}; 'python prepare.py lungs {root}' makes it"
        )
    return images_by_stem(folder / place) if place else {}


def images_by_stem(folder: Path) -> dict[str, Path]:
    """The image files of a folder by stem; {} where there is no folder."""
    if not folder.is_dir():
        return {}
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
            continue
        stem = stem_of(path)
        if stem in found:
            raise UserError(f"{path}: {found[stem]} has the same stem; keep one of the two")
        found[stem] = path
    return found
