"""What is wrong with the texts of a data folder: manifest.csv and splits.json."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datasets.data_folder import UNLABELLED
from datasets.manifest import SPLITS, ManifestEntry, patient_of_stem, read_manifest
from preparation.checks.files import SplitFiles
from utils.errors import UserError


class Patients(NamedTuple):
    """Who is who in a data folder."""

    entries: dict[tuple[str, str], ManifestEntry]

    def of(self, split: str, name: str) -> str:
        """The patient of a slice, by the manifest, else by its name."""
        entry = self.entries.get((split, name))
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
    places = _manifest_places(path)
    if places is None:
        return  # told by read_patients
    images = {(split.name, item.name): item.image for split in splits for item in split.slices}
    seen: set[tuple[str, str]] = set()
    for line, split, name in places:
        wanted = {(split, name)} if split else {(part, name) for part in SPLITS} & images.keys()
        if not wanted or not wanted <= images.keys():
            where = root / (split or "<split>") / "image" / f"{name}.*"
            problems.append(f"{path}:{line}: its file {where} is missing")
        elif wanted & seen:
            problems.append(f"{path}:{line}: a second row of {name}; keep one of the two")
        seen |= wanted
    problems.extend(f"{images[key]}: no row in {path}" for key in sorted(images.keys() - seen))


def check_split_list(
    root: Path, splits: Sequence[SplitFiles], patients: Patients, problems: list[str]
) -> None:
    """Whether splits.json lists the patients of each split."""
    path = root / "splits.json"
    if not path.is_file():
        return
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
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


def _manifest_places(path: Path) -> list[tuple[int, str, str]] | None:
    """Line, split ('' for any) and file stem of every row; None for a malformed manifest."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return None
    reader = csv.DictReader(lines)
    if "file" not in (reader.fieldnames or ()):
        return None
    return [
        (reader.line_num, row.get("split") or "", Path(row["file"]).stem)
        for row in reader
        if row["file"]
    ]
