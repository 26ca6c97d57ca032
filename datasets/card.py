"""dataset.json: where a data folder's slices are from, what they mean, and under which terms.

What a network must know of them to be used on other data travels with its weights: DataProperties.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from datasets.intensity import UNITS, IntensityRule
from utils.errors import UserError
from utils.files import parse_json, whole_file

CARD_FILE = "dataset.json"
_PROPERTIES = ("intensity", "bits", "labels")
_NUM_VALUES = 2**16  # of a class map of 16 bits
_MOST = 1e9  # of a window's ends: float32 tells the levels between them apart no longer
# As DICOM names modalities. Computed and digital radiography are one here: chest X-rays.
CT, X_RAY = "CT", "DX"
X_RAYS = ("CR", X_RAY)
MODALITY_NAMES = {CT: "CT", "CR": "chest X-ray (CR)", X_RAY: "chest X-ray (DX)"}


class SourceFacts(NamedTuple):
    """One source of a data folder, as its card names it."""

    name: str
    title: str
    licence: str
    citation: str


class DataCard(NamedTuple):
    """What a data folder is.

    Attributes:
        sources: Where the slices are from.
        intensity: The rule that turned Hounsfield units into these grey levels, which a scan must
            go through before a network of this data sees it; None where nobody knows it.
        bits: Of the stored images, 8 or 16.
        labels: Name of every class of the folder label, from 1.
        modality: CT, or one of X_RAYS.
    """

    sources: tuple[SourceFacts, ...]
    intensity: IntensityRule | None
    bits: int
    labels: dict[int, str]
    modality: str = CT

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "sources": [source._asdict() for source in self.sources],
            "intensity": self.intensity and self.intensity.to_plain(),
            "bits": self.bits,
            "labels": {str(value): name for value, name in self.labels.items()},
            "modality": self.modality,
        }


def write_card(root: Path, card: DataCard) -> None:
    """Write <root>/dataset.json."""
    with whole_file(root / CARD_FILE) as path:
        text = json.dumps(card.to_plain(), indent=2, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")


def read_card(root: Path) -> DataCard | None:
    """What <root>/dataset.json says; None where there is none.

    Raises:
        UserError: The file is no card.
    """
    path = root / CARD_FILE
    if not path.is_file():
        return None
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        known = {key: content[key] for key in _PROPERTIES} | {
            "modality": content.get("modality", CT)
        }
        properties = DataProperties.from_plain(known)
        sources = tuple(SourceFacts(**source) for source in content["sources"])
        if not all(isinstance(fact, str) for source in sources for fact in source):
            raise ValueError("facts of a source that are no text")
        return DataCard(
            *(sources, properties.intensity, properties.bits, dict(properties.labels)),
            properties.modality,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not a data card ({error}); write it anew with prepare.py"
        ) from error


def _read_rule(content: Any) -> IntensityRule | None:
    if content is None:
        return None
    rule = IntensityRule(**content)
    ends = rule.low, rule.high
    if rule.unit not in UNITS or not all(isinstance(end, int | float) for end in ends):
        raise ValueError("an intensity of no known unit, or whose ends are no numbers")
    if not -_MOST <= rule.low < rule.high <= _MOST:
        raise ValueError(f"intensity {rule.unit} from {rule.low:g} to {rule.high:g}")
    return IntensityRule(rule.unit, float(rule.low), float(rule.high))


def _read_labels(content: Any) -> dict[int, str]:
    labels = {int(value): name for value, name in dict(content).items()}
    _check_classes(list(labels.items()))
    return labels


def _check_classes(classes: Sequence[tuple[Any, Any]]) -> None:
    """Refuse a value that a class map cannot hold, or a name that is none."""
    for value, name in classes:
        if not isinstance(value, int) or not 0 < value < _NUM_VALUES or not isinstance(name, str):
            raise ValueError("classes other than names of values from 1 to 65535")


def _read_modality(modality: str) -> str:
    if modality not in MODALITY_NAMES:
        raise ValueError(f"modality {modality!r}, not one of {', '.join(MODALITY_NAMES)}")
    return modality


class DataProperties(NamedTuple):
    """Travels with the weights, in checkpoints and exported networks.

    Attributes:
        intensity: How Hounsfield units became the grey levels; None where nobody knows.
        bits: Of those grey levels, 8 or 16.
        labels: Name of every class of the folder label, from 1; empty where they have no names.
        classes: Name and value in the folder label of those classes that the network tells apart,
            in the order of its channels from 1; empty where it tells lesion from background.
        modality: CT, or one of X_RAYS; files of earlier versions are of CT.
    """

    intensity: IntensityRule | None = None
    bits: int = 8
    labels: Mapping[int, str] = MappingProxyType({})
    classes: Mapping[str, int] = MappingProxyType({})
    modality: str = CT

    @classmethod
    def from_card(
        cls, card: DataCard | None, classes: Mapping[str, int] = MappingProxyType({})
    ) -> "DataProperties":
        """Of a data folder, with the chosen classes; of one without a card nothing is known."""
        known = cls()
        if card is not None:
            known = cls(card.intensity, card.bits, card.labels, modality=card.modality)
        return known._replace(classes=classes)

    @property
    def is_x_ray(self) -> bool:
        """Whether the slices are chest X-rays."""
        return self.modality in X_RAYS

    @classmethod
    def from_plain(cls, content: Mapping[str, Any]) -> "DataProperties":
        """From the entries of to_plain among others; files of earlier versions lack some.

        Raises:
            ValueError: An entry makes no sense; or TypeError.
        """
        bits = content.get("bits", 8)
        if not isinstance(bits, int) or bits not in (8, 16):
            raise ValueError("bits of grey levels that are not 8 or 16")
        labels = _read_labels(content.get("labels", {}))
        classes = dict(content.get("classes", {}))
        _check_classes([(value, name) for name, value in classes.items()])
        return cls(
            *(_read_rule(content.get("intensity")), bits, labels),
            classes=classes,
            modality=_read_modality(content.get("modality", CT)),
        )

    def name_classes(self, num_classes: int) -> dict[int, str]:
        """Name of every class beside the background, from 1, of a network with so many."""
        if self.classes:
            return dict(enumerate(self.classes, 1))
        if num_classes == 1:
            return {1: "Lesion"}
        return {k: self.labels.get(k, f"Lesion class {k}") for k in range(1, num_classes + 1)}

    def to_plain(self) -> dict[str, Any]:
        """For JSON and checkpoints."""
        return {
            "intensity": self.intensity and self.intensity.to_plain(),
            "bits": self.bits,
            "labels": {str(value): name for value, name in self.labels.items()},
            "classes": dict(self.classes),
            "modality": self.modality,
        }
