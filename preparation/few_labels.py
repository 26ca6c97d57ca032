"""A data folder with few labels: some patients or slices keep their masks, the rest is a pool.

The masks of the rest lie in hidden/mask, where no training looks: pseudo labels are scored by them.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.card import DataCard, read_card, write_card
from datasets.data_folder import UNLABELLED
from datasets.image_io import read_gray
from datasets.manifest import SPLITS
from datasets.pairing import HIDDEN
from preparation.pools import (
    Bar,
    Member,
    read_members,
    read_pool,
    refuse_names_twice,
    refuse_overlap,
)
from utils.errors import UserError
from utils.files import whole_folder, write_json, write_rows
from utils.messages import count

_TOLD_BY_MASKS = ("lesion_px", "lung_px")  # columns of a manifest that a pool must not have


class Labels(NamedTuple):
    """How many labels are left: of the first `number` patients or slices in an order by seed.

    With the same seed a larger number takes the same ones, and more.
    """

    unit: str
    number: int
    seed: int


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
    added = [m for place in pools for m in read_pool(place, root, card, labelled, notes)]
    pool = [*rest, *own, *added]
    if not pool:
        raise UserError(
            f"--{labels.unit}s {labels.number}: all of {root / 'train'}, so that nothing is left "
            "without a label; ask for fewer, or add --pool DIR"
        )
    refuse_names_twice(pool)
    refuse_overlap(pool, held, progress)
    _write(out, labelled, held, pool, card, labels, root)
    sizes = Counter([m.split for m in held]) | {"train": len(labelled), UNLABELLED: len(pool)}
    return FewLabels(dict(sizes), sorted(chosen), notes)


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
