"""A data folder with few labels: some patients or slices keep their masks, the rest is a pool.

The masks of the rest lie in hidden/mask, where no training looks: pseudo labels are scored by them.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.card import DataCard, read_card, write_card
from datasets.data_folder import HIDDEN, UNLABELLED
from datasets.image_io import read_gray
from datasets.manifest import SPLITS, read_manifest, read_manifest_rows, slice_key
from datasets.pairing import images_by_stem
from datasets.slice_names import patient_of_stem
from datasets.stored import map_ahead
from preparation.checks.near_duplicates import find_near_duplicates, make_thumbnail
from utils.errors import UserError
from utils.files import whole_folder, write_json, write_rows
from utils.messages import count, first_of

_KINDS = ("image", "mask", "label", "mask_", "lung", "lung_derived")
_TOLD_BY_MASKS = ("lesion_px", "lung_px")  # columns of a manifest that a pool must not have
Bar = Callable[[Iterable], Iterable]


class Labels(NamedTuple):
    """How many labels are left: of the first `number` patients or slices in an order by seed.

    With the same seed a larger number takes the same ones, and more.
    """

    unit: str
    number: int
    seed: int


class Member(NamedTuple):
    """A slice of any folder: its files by kind, patient and cells of the manifest."""

    name: str
    split: str
    patient: str
    files: dict[str, Path]
    cells: dict[str, str]


class FewLabels(NamedTuple):
    """What was dealt: slices by split, and who keeps the labels."""

    slices: dict[str, int]
    labelled: list[str]
    notes: list[str]


def write_few_labels(
    root: Path, out: Path, labels: Labels, pools: Sequence[Path] = (), progress: Bar = list
) -> FewLabels:
    """Write train with few labels, unlabelled with the rest and the pools; val and test stay.

    Args:
        root: A data folder.
        out: The new one.
        labels: How many are left, and which.
        pools: Data folders, or plain folders of images, whose images join the rest.
        progress: Wraps the slices that are compared.

    Raises:
        UserError: Too many labels are asked for, none of those left shows a lesion, nothing is left
            for the pool, or the pool has a patient or a near-duplicate of val or test, another
            grey-level rule, modality or size.
    """
    members = [m for split in (*SPLITS, UNLABELLED) for m in read_members(root, split)]
    train = [m for m in members if m.split == "train"]
    if not train:
        raise UserError(f"{root / 'train' / 'image'}: no images; --from takes a data folder")
    chosen = _choose(train, labels)
    labelled, rest = _part(train, lambda m: _name_of(m, labels.unit) in chosen)
    if not any(read_gray(m.files["mask"]).any() for m in labelled):
        raise UserError(
            f"--{labels.unit}s {labels.number}: none of the labelled slices shows a lesion; take "
            "another --seed, or more of them"
        )
    notes: list[str] = []
    card, held = read_card(root), [m for m in members if m.split in ("val", "test")]
    own = [m for m in members if m.split == UNLABELLED]
    added = [m for place in pools for m in _read_pool(place, root, card, labelled, notes)]
    pool = [*rest, *own, *added]
    if not pool:
        raise UserError(
            f"--{labels.unit}s {labels.number}: all of {root / 'train'}, so that nothing is left "
            "without a label; ask for fewer, or add --pool DIR"
        )
    _refuse_names_twice(pool)
    _refuse_overlap(pool, held, progress)
    _write(out, labelled, held, pool, card, labels, root)
    sizes = Counter([m.split for m in held]) | {"train": len(labelled), UNLABELLED: len(pool)}
    return FewLabels(dict(sizes), sorted(chosen), notes)


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


def _choose(train: Sequence[Member], labels: Labels) -> set[str]:
    """The patients or slices that keep their labels."""
    names = sorted({_name_of(m, labels.unit) for m in train})
    if labels.number > len(names):
        raise UserError(
            f"--{labels.unit}s {labels.number}: train has {count(len(names), labels.unit)}; ask "
            "for fewer"
        )
    order = np.random.default_rng(labels.seed).permutation(len(names))
    return {names[index] for index in order[: labels.number]}


def _name_of(member: Member, unit: str) -> str:
    return member.patient if unit == "patient" else member.name


def _part(
    members: Sequence[Member], is_first: Callable[[Member], bool]
) -> tuple[list[Member], list[Member]]:
    first = [m for m in members if is_first(m)]
    return first, [m for m in members if not is_first(m)]


def _read_pool(
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
            f"--pool {place}: grey levels of another rule ({rules[0]}; {root}: {rules[1]}); convert "
            "both alike"
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


def _refuse_names_twice(pool: Sequence[Member]) -> None:
    counts = Counter(m.name.casefold() for m in pool)
    twice = sorted(m.name for m in pool if counts[m.name.casefold()] > 1)
    if twice:
        raise UserError(f"--pool: slices of one name: {first_of(twice[::2])}; rename them")


def _refuse_overlap(pool: Sequence[Member], held: Sequence[Member], progress: Bar) -> None:
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


def _write(
    out: Path,
    labelled: Sequence[Member],
    held: Sequence[Member],
    pool: Sequence[Member],
    card: DataCard | None,
    labels: Labels,
    root: Path,
) -> None:
    """Copy the files, and write what describes the folder."""
    with whole_folder(out) as draft:
        rows = []
        for member in (*labelled, *held, *pool):
            split = member.split if member in held else "train"
            files = member.files
            if is_pool := len(rows) >= len(labelled) + len(held):
                split, files = UNLABELLED, {"image": files["image"]}
                if "mask" in member.files:
                    _copy(member.files["mask"], draft / HIDDEN / "mask", member.name)
            for kind, path in files.items():
                _copy(path, draft / split / kind, member.name)
            hidden = ("file", "split", "patient", *(_TOLD_BY_MASKS if is_pool else ()))
            cells = {key: value for key, value in member.cells.items() if key not in hidden}
            name = f"{member.name}{files['image'].suffix}"
            rows.append({"file": name, "split": split, "patient": member.patient} | cells)
        columns = dict.fromkeys(key for row in rows for key in row)
        write_rows(draft / "manifest.csv", [{k: row.get(k, "") for k in columns} for row in rows])
        patients = {
            split: sorted({row["patient"] for row in rows if row["split"] == split})
            for split in SPLITS
        }
        write_json(draft / "splits.json", {k: names for k, names in patients.items() if names})
        write_json(draft / "few_labels.json", {"from": str(root), **labels._asdict()})
        if card is not None:
            write_card(draft, card)


def _copy(path: Path, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, folder / f"{name}{path.suffix}")
