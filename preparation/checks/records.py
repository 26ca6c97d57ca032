"""What is wrong with the texts of a data folder: manifest.csv and splits.json."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datasets.data_folder import UNLABELLED
from datasets.manifest import (
    ManifestEntry,
    read_manifest,
    read_manifest_rows,
    slice_key,
    unlisted_slices,
)
from datasets.slice_names import patient_of_stem
from preparation.checks.files import SplitFiles
from utils.errors import UserError
from utils.files import parse_json


class Patients(NamedTuple):
    """Who is who in a data folder."""

    entries: dict[tuple[str, str], ManifestEntry]

    def of(self, split: str, name: str) -> str:
        """The patient of a slice, by the manifest, else by its name."""
        entry = self.entries.get(slice_key(split, name))
        return entry.patient if entry else patient_of_stem(name)


def read_patients(root: Path, problems: list[str]) -> Patients:
    """The patients of the manifest; a malformed one is a problem."""
    try:
        return Patients(read_manifest(root))
    except UserError as error:
        problems.append(str(error))
        return Patients({})


def check_manifest(root: Path, splits: Sequence[SplitFiles], problems: list[str]) -> None:
    """Rows without a file, files without a row, and rows that stand twice."""
    path = root / "manifest.csv"
    if not path.is_file():
        return
    try:
        rows = [row for row in read_manifest_rows(root) if row.name]
    except UserError:
        return  # told by read_patients
    images = {
        slice_key(split.name, item.name): item.image for split in splits for item in split.slices
    }
    foreign = set()
    for split in splits:
        try:
            unlisted_slices(root, split.name, [item.name for item in split.slices])
        except UserError as error:
            foreign.add(split.name)
            problems.append(str(error))
    if len(foreign) == len(splits):
        return  # every row and every image would be told again
    seen: set[tuple[str, str]] = set()
    for row in rows:
        wanted = set(row.keys) if row.split else set(row.keys) & images.keys()
        if not wanted or not wanted <= images.keys():
            where = root / (row.split or "<split>") / "image" / f"{row.name}.*"
            problems.append(f"{path}:{row.line}: its file {where} is missing")
        elif wanted & seen:
            problems.append(f"{path}:{row.line}: a second row of {row.name}; keep one of the two")
        seen |= wanted
    problems.extend(
        f"{images[key]}: no row in {path}"
        for key in sorted(images.keys() - seen)
        if key[0] not in foreign
    )


def check_split_list(
    root: Path, splits: Sequence[SplitFiles], patients: Patients, problems: list[str]
) -> None:
    """Whether splits.json lists the patients of each split."""
    path = root / "splits.json"
    if not path.is_file():
        return
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        listed = {str(split): {str(name) for name in names} for split, names in content.items()}
    except (ValueError, AttributeError, TypeError) as error:
        problems.append(f"{path}: not a list of patients by split ({error}); remove it")
        return
    found = {
        split.name: {patients.of(split.name, item.name) for item in split.slices}
        for split in splits
        if split.name != UNLABELLED
    }
    for split in sorted(listed.keys() | found.keys()):
        own, named = found.get(split, set()), listed.get(split, set())
        problems += [
            f"{path}: {split} lists {name}, of whom there is no slice"
            for name in sorted(named - own)
        ]
        problems += [f"{path}: {split} does not list {name}" for name in sorted(own - named)]
