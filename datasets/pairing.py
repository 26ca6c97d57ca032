"""Which files of a data folder belong together: image, mask, edge and lung by file stem."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from datasets.image_io import IMAGE_SUFFIXES
from utils.errors import UserError

SPLITS = ("train", "val", "test")
# patient_z012, patient_s012, patient-slice012: what stands before the slice number is the patient.
# A bare number stays, it may count patients; manifest.csv says who is who in such a folder.
_SLICE_NUMBER = re.compile(r"[_-](?:z|s|slice[_-]?)\d+$", re.IGNORECASE)


class SliceFiles(NamedTuple):
    """The files of one slice; edge and lung are None where the folder has none."""

    name: str
    patient: str
    image: Path
    mask: Path
    edge: Path | None
    lung: Path | None


def find_slices(root: Path, split: str) -> list[SliceFiles]:
    """The slices of <root>/<split>/{image,mask,mask_,lung}, paired by stem and sorted by name.

    Args:
        root: The data folder.
        split: train, val or test.

    Returns:
        One entry per image. mask_ (edges) and lung may be absent, whole or per slice.

    Raises:
        UserError: No such folder, no images, or an image without a mask or the reverse.
    """
    folder = root / split
    if not (folder / "image").is_dir():
        raise UserError(
            f"data.root: no folder {folder / 'image'}; "
            "'python prepare.py synthetic --out data/synthetic' makes a data set, "
            "--set data.root=DIR names another"
        )
    images, masks = _by_stem(folder / "image"), _by_stem(folder / "mask")
    if not images and not masks:
        raise UserError(f"{folder / 'image'}: no images ({', '.join(IMAGE_SUFFIXES)})")
    for stem, path in images.items():
        if stem not in masks:
            raise UserError(f"{path}: its mask {folder / 'mask' / stem}.* is missing")
    for stem, path in masks.items():
        if stem not in images:
            raise UserError(f"{path}: its image {folder / 'image' / stem}.* is missing")
    edges, lungs = _by_stem(folder / "mask_"), _by_stem(folder / "lung")
    patients = read_patients(root)
    return [
        SliceFiles(
            name=stem,
            patient=patients.get((split, stem)) or _SLICE_NUMBER.sub("", stem),
            image=images[stem],
            mask=masks[stem],
            edge=edges.get(stem),
            lung=lungs.get(stem),
        )
        for stem in sorted(images)
    ]


def resolve_split(root: Path, split: str) -> str:
    """The split, or val where the data folder has no test (the paper tests on its val part)."""
    if split == "test" and not (root / "test").is_dir() and (root / "val").is_dir():
        return "val"
    return split


def read_patients(root: Path) -> dict[tuple[str, str], str]:
    """Patient by (split, file stem) from <root>/manifest.csv, where there is one.

    A row without a split, or a manifest without that column, speaks for every split.

    Raises:
        UserError: The file lacks the column file or patient, or a row lacks its value.
    """
    path = root / "manifest.csv"
    if not path.is_file():
        return {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8; save it as UTF-8 CSV") from error
    reader = csv.DictReader(lines)
    missing = {"file", "patient"} - set(reader.fieldnames or ())
    if missing:
        raise UserError(f"{path}: no column {', '.join(sorted(missing))}; add it or the file")
    patients = {}
    for row in reader:
        if not row["file"] or not row["patient"]:
            raise UserError(f"{path}:{reader.line_num}: no file or no patient; fill it in")
        for split in [row["split"]] if row.get("split") else SPLITS:
            patients[split, Path(row["file"]).stem] = row["patient"]
    return patients


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


def _by_stem(folder: Path) -> dict[str, Path]:
    """The image files of a folder by stem; {} where there is no folder."""
    if not folder.is_dir():
        return {}
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise UserError(f"{path}: {found[path.stem]} has the same stem; keep one of the two")
        found[path.stem] = path
    return found
