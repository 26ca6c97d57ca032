"""The slices of a data folder with all that its files and its manifest say of them."""

from pathlib import Path
from typing import NamedTuple

from datasets.card import DataCard
from datasets.manifest import SPLITS, read_manifest_rows, slice_key
from datasets.pairing import SliceFiles, find_slices, images_by_stem
from datasets.slice_names import patient_of_stem
from utils.errors import UserError

UNKNOWN_SOURCE = "unknown"


class SliceEntry(NamedTuple):
    """One slice.

    Attributes:
        files: Its image, masks and patient.
        label: Its classes; None without such a file.
        split: train, val or test.
        case: The scan.
        source: Name of the data set it is from.
    """

    files: SliceFiles
    label: Path | None
    split: str
    case: str
    source: str


def list_entries(root: Path, card: DataCard | None) -> list[SliceEntry]:
    """The slices of all splits that the folder has, by split and name.

    Raises:
        UserError: No split is there, or a file lacks its partner.
    """
    splits = [split for split in SPLITS if (root / split / "image").is_dir()]
    if not splits:
        places = ", ".join(f"{root / split / 'image'}" for split in SPLITS)
        raise UserError(f"{root}: no data folder, none of {places} is there; name another")
    found = {split: find_slices(root, split) for split in splits}
    rows = {key: row.cells for row in read_manifest_rows(root) for key in row.keys}
    only_source = card.sources[0].name if card and len(card.sources) == 1 else UNKNOWN_SOURCE
    entries = []
    for split, slices in found.items():
        labels = images_by_stem(root / split / "label")
        for files in slices:
            row = rows.get(slice_key(split, files.name), {})
            entries.append(
                SliceEntry(
                    files,
                    labels.get(files.name),
                    split,
                    row.get("case") or patient_of_stem(files.name),
                    row.get("source") or only_source,
                )
            )
    return entries
