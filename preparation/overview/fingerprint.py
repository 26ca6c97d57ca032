"""The fingerprint of a data folder: every slice looked at once, its figures kept in a row."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datasets.card import DataCard, read_card
from datasets.data_folder import UNLABELLED
from datasets.pairing import images_by_stem
from datasets.stored import map_ahead
from preparation.overview.entries import list_entries
from preparation.overview.grey_levels import GreyLevels
from preparation.overview.measure import POSITION_SIDE, REGIONS, SliceRow, measure_slice
from preparation.overview.summary import summarise_patients, summarise_rows

_NUMBERS = re.compile(r"\[\n([-+.,\d\se]*?)\n\s*\]")  # an indented list; no string has a line end
_POSITION_DIGITS = 4


class Fingerprint(NamedTuple):
    """What a data folder holds.

    Attributes:
        title: Of its sources, or the folder's name where it has no card.
        card: What the folder says of itself; None where it does not.
        rows: Figures of every slice, by split and name.
        levels: Grey levels by split and region (all, lung outside of lesions, lesion).
        position: (64, 64) share of the slices with lesion that have it there, each slice being
            stretched to a square; rows from the top.
        num_unlabelled: Images of the folder unlabelled, which are only counted.
    """

    title: str
    card: DataCard | None
    rows: tuple[SliceRow, ...]
    levels: dict[str, dict[str, GreyLevels]]
    position: np.ndarray
    num_unlabelled: int = 0

    @property
    def bits(self) -> int:
        """Of the deepest image."""
        return max(levels["all"].bits for levels in self.levels.values())

    @property
    def labels(self) -> dict[int, str]:
        """Name of every class that the card names or a label holds."""
        named = dict(self.card.labels) if self.card else {}
        found = {value for row in self.rows for value in row.class_px}
        return {value: named.get(value, f"class {value}") for value in sorted(found | {*named})}

    def rows_of(self, split: str) -> list[SliceRow]:
        """The slices of a split."""
        return [row for row in self.rows if row.entry.split == split]

    def all_levels(self) -> dict[str, GreyLevels]:
        """Grey levels of all splits together, by region."""
        total = {region: GreyLevels() for region in REGIONS}
        for levels in self.levels.values():
            for region in REGIONS:
                total[region].merge(levels[region])
        return total

    def to_plain(self) -> dict[str, Any]:
        """For JSON: the same figures of all slices and of every split, then the patients."""
        parts = {"all": (list(self.rows), self.all_levels())} | {
            split: (self.rows_of(split), levels) for split, levels in self.levels.items()
        }
        rule = self.card.intensity if self.card else None
        return {
            "title": self.title,
            "bits": self.bits,
            "intensity": rule and rule.to_plain(),
            "labels": {str(value): name for value, name in self.labels.items()},
            "parts": {
                part: summarise_rows(rows, self.labels)
                | {
                    "grey_levels": {
                        region: levels[region].to_plain(self.bits, rule) for region in REGIONS
                    }
                }
                for part, (rows, levels) in parts.items()
            },
            "num_unlabelled": self.num_unlabelled,
            "lesion_position": np.round(self.position, _POSITION_DIGITS).tolist(),
            "patients": summarise_patients(self.rows),
        }


def take_fingerprint(root: Path) -> Fingerprint:
    """Look at every slice of a data folder once; a few are in memory at a time.

    Raises:
        UserError: The folder holds no split, or a file is damaged or lacks its partner.
    """
    card = read_card(root)
    entries = list_entries(root, card)
    splits = dict.fromkeys(entry.split for entry in entries)
    levels = {split: {region: GreyLevels() for region in REGIONS} for split in splits}
    rows, position, num_with_lesion = [], np.zeros((POSITION_SIDE, POSITION_SIDE)), 0
    for measure in map_ahead(measure_slice, entries):
        rows.append(measure.row)
        for region, counts in measure.levels.items():
            levels[measure.row.entry.split][region].add(counts)
        if measure.position is not None:
            position += measure.position
            num_with_lesion += 1
    position /= max(num_with_lesion, 1)
    titles = [source.title for source in card.sources] if card else []
    title = " + ".join(titles) or root.resolve().name
    num_unlabelled = len(images_by_stem(root / UNLABELLED / "image"))
    return Fingerprint(title, card, tuple(rows), levels, position, num_unlabelled)


def to_json(fingerprint: Fingerprint) -> str:
    """Indented, but with every list of numbers on one line."""
    text = json.dumps(fingerprint.to_plain(), indent=1, ensure_ascii=False)
    return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"
