"""The pool of slices without labels: whose slices it may hold, and what they must be like."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.card import DataCard, read_card
from datasets.data_folder import UNLABELLED
from datasets.image_io import read_gray
from datasets.manifest import SPLITS, read_manifest, read_manifest_rows, slice_key
from datasets.pairing import images_by_stem
from datasets.slice_names import patient_of_stem
from datasets.stored import map_ahead
from preparation.checks.near_duplicates import find_near_duplicates, make_thumbnail
from utils.errors import UserError
from utils.messages import count, first_of

_KINDS = ("image", "mask", "label", "mask_", "lung", "lung_derived")
Bar = Callable[[Iterable], Iterable]


class Member(NamedTuple):
    """A slice of any folder: its files by kind, patient and cells of the manifest."""

    name: str
    split: str
    patient: str
    files: dict[str, Path]
    cells: dict[str, str]


def read_members(root: Path, split: str) -> list[Member]:
    """The slices of <root>/<split>; [] where there is no such folder."""
    found = {kind: images_by_stem(root / split / kind) for kind in _KINDS}
    entries = read_manifest(root)
    rows = {key: row.cells for row in read_manifest_rows(root) for key in row.keys}
    members = []
    for stem, path in sorted(found["image"].items()):
        key = slice_key(split, stem)
        patient = entries[key].patient if key in entries else patient_of_stem(stem)
        files = {kind: files[stem] for kind, files in found.items() if stem in files}
        if split in SPLITS and "mask" not in files:
            raise UserError(f"{path}: its mask {root / split / 'mask' / stem}.* is missing")
        members.append(Member(stem, split, patient, files, rows.get(key, {})))
    return members


def read_pool(
    place: Path, root: Path, card: DataCard | None, labelled: Sequence[Member], notes: list[str]
) -> list[Member]:
    """The images of a pool: of its unlabelled, else its train, else of the folder itself.

    Raises:
        UserError: It has none, or they are not of the kind of the labelled ones.
    """
    members = read_members(place, UNLABELLED) or read_members(place, "train")
    if not members:
        files = images_by_stem(place) or images_by_stem(place / "image")
        members = [
            Member(stem, UNLABELLED, patient_of_stem(stem), {"image": path}, {})
            for stem, path in sorted(files.items())
        ]
    if not members:
        raise UserError(f"--pool {place}: no images in unlabelled/image, train/image or itself")
    other = read_card(place)
    if card is None or other is None:
        notes.append(f"{place if other is None else root}: no dataset.json tells its grey levels")
    elif card.modality != other.modality:
        raise UserError(f"--pool {place}: {other.modality}, but {root} is {card.modality}")
    elif card.intensity != other.intensity:
        rules = [
            "unknown" if rule is None else f"{rule.unit} from {rule.low:g} to {rule.high:g}"
            for rule in (other.intensity, card.intensity)
        ]
        raise UserError(
            f"--pool {place}: grey levels of another rule ({rules[0]}; {root}: {rules[1]}); "
            "convert both alike"
        )
    sizes = {read_gray(m.files["image"]).shape for m in labelled}
    own = {read_gray(m.files["image"]).shape for m in members}
    if len(sizes) == 1 and own != sizes:
        told = [" x ".join(map(str, next(iter(s)))) for s in (own - sizes, sizes)]
        raise UserError(
            f"--pool {place}: slices of {told[0]} px, where all labelled ones have {told[1]} px; "
            "bring the pool to that size"
        )
    return members


def refuse_names_twice(pool: Sequence[Member]) -> None:
    """Refuse slices that would overwrite each other."""
    counts = Counter(m.name.casefold() for m in pool)
    twice = sorted(m.name for m in pool if counts[m.name.casefold()] > 1)
    if twice:
        raise UserError(f"--pool: slices of one name: {first_of(twice[::2])}; rename them")


def refuse_overlap(pool: Sequence[Member], held: Sequence[Member], progress: Bar) -> None:
    """Refuse a patient of val or test in the pool, and a slice that shows the same."""
    homes = {m.patient: m.split for m in held}
    shared = sorted({m.patient for m in pool} & homes.keys())
    if shared:
        words = [f"{patient} in {homes[patient]}" for patient in shared]
        raise UserError(
            f"the pool: {count(len(shared), 'patient')} of val or test: {first_of(words)}; leave "
            "their slices out of the pool"
        )
    both = [*pool, *held]
    thumbnails = list(
        map_ahead(lambda m: make_thumbnail(read_gray(m.files["image"])), progress(both))
    )
    sides = ["pool" if index < len(pool) else "held" for index in range(len(both))]
    pairs = find_near_duplicates(np.stack(thumbnails), sides) if held else []
    if pairs:
        words = [f"{both[i].name} = {both[j].split}/{both[j].name}" for i, j in pairs]
        raise UserError(
            f"the pool: {count(len(pairs), 'pair')} of near-duplicate slices with val or test: "
            f"{first_of(words)}; leave them out of the pool"
        )
