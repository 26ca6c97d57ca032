"""Whether a test of a data folder would be of remembered patients or slices."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.image_io import read_gray
from datasets.manifest import SPLITS
from datasets.pairing import find_slices
from datasets.stored import map_ahead
from preparation.checks.near_duplicates import find_near_duplicates, make_thumbnail
from utils.errors import UserError
from utils.messages import count, first_of


class PlacedSlice(NamedTuple):
    """Name, patient and split of a slice."""

    name: str
    patient: str
    split: str


class Leaks(NamedTuple):
    """What stands in two splits.

    Attributes:
        patients: The splits of every patient that stands in more than one.
        duplicates: Pairs <split>/<name> of slices of two patients that show the same.
    """

    patients: dict[str, tuple[str, ...]]
    duplicates: tuple[tuple[str, str], ...]

    def describe(self) -> str:
        """The first ones and their number in a line; '' where there is none."""
        parts = []
        if self.patients:
            words = [f"{name} in {' and '.join(found)}" for name, found in self.patients.items()]
            parts.append(f"{count(len(words), 'patient')} in two splits: {first_of(words)}")
        if self.duplicates:
            words = [f"{first} = {second}" for first, second in self.duplicates]
            kind = f"{count(len(words), 'pair')} of near-duplicate slices"
            parts.append(f"{kind} in two splits: {first_of(words)}")
        return "; ".join(parts)


def find_leaks(slices: Sequence[PlacedSlice], pairs: Iterable[tuple[int, int]]) -> Leaks:
    """Patients and near-duplicate slices that stand in two splits.

    Args:
        slices: Of all splits.
        pairs: Places of two slices of different patients that show the same. Those of one patient
            are told by the patient alone.
    """
    homes: dict[str, set[str]] = {}
    for item in slices:
        homes.setdefault(item.patient, set()).add(item.split)
    patients = {
        name: tuple(split for split in SPLITS if split in found)
        for name, found in sorted(homes.items())
        if len(found) > 1
    }
    places = [f"{item.split}/{item.name}" for item in slices]
    duplicates = tuple(
        (places[first], places[second])
        for first, second in pairs
        if slices[first].split != slices[second].split
    )
    return Leaks(patients, duplicates)


def find_leaks_by_look(slices: Sequence[PlacedSlice], thumbnails: Sequence[np.ndarray]) -> Leaks:
    """As find_leaks, the pairs being sought among the thumbnails."""
    splits = [item.split for item in slices]
    if len(set(splits)) < 2:
        return Leaks({}, ())
    patients = [item.patient for item in slices]
    return find_leaks(slices, find_near_duplicates(np.stack(thumbnails), splits, patients))


def refuse_leaks(root: Path, leaks: Leaks, *, allow: bool) -> str | None:
    """The warning where leaks are allowed and there are some, else None.

    Raises:
        UserError: There are leaks, and they are not allowed.
    """
    found = leaks.describe()
    if not found:
        return None
    if not allow:
        raise UserError(
            f"{root}: {found}; a score would be of what was seen in training: split by patient, "
            "or add --allow-leak for a split by slice as in the paper"
        )
    return f"leak, allowed: {found}"


def check_leaks(root: Path, *, allow: bool = False) -> str | None:
    """Read a data folder and refuse a patient or a near-duplicate slice in two splits.

    Args:
        root: The data folder.
        allow: Give a warning instead.

    Returns:
        The warning, if any.

    Raises:
        UserError: There are leaks, or a file is unfit.
    """
    files = [
        (split, entry)
        for split in SPLITS
        if (root / split / "image").is_dir()
        for entry in find_slices(root, split)
    ]
    slices = [PlacedSlice(entry.name, entry.patient, split) for split, entry in files]
    thumbnails = list(map_ahead(_thumbnail, (entry.image for _, entry in files)))
    return refuse_leaks(root, find_leaks_by_look(slices, thumbnails), allow=allow)


def _thumbnail(path: Path) -> np.ndarray:
    return make_thumbnail(read_gray(path))
