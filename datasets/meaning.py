"""What a network must know of the data that it was trained on, to be used on other data."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from datasets.card import DataCard
from datasets.intensity import IntensityRule


class DataMeaning(NamedTuple):
    """Travels with the weights, in checkpoints and exported networks.

    Attributes:
        intensity: How Hounsfield units became the grey levels; None where nobody knows.
        bits: Of those grey levels, 8 or 16.
        labels: Name of every class of the folder label, from 1; empty where they have no names.
    """

    intensity: IntensityRule | None = None
    bits: int = 8
    labels: Mapping[int, str] = MappingProxyType({})

    @classmethod
    def from_card(cls, card: DataCard | None) -> "DataMeaning":
        """Of a data folder; of one without a card nothing is known."""
        return cls(card.intensity, card.bits, card.labels) if card else cls()

    @classmethod
    def from_plain(cls, content: Mapping[str, Any]) -> "DataMeaning":
        """From the entries of to_plain among others; files of earlier versions lack some."""
        rule = content.get("intensity")
        labels = {int(value): name for value, name in content.get("labels", {}).items()}
        return cls(rule and IntensityRule(**rule), content.get("bits", 8), labels)

    def name_classes(self, num_classes: int) -> dict[int, str]:
        """Name of every class beside the background, from 1, of a network with so many."""
        if num_classes == 1:
            return {1: "Lesion"}
        return {k: self.labels.get(k, f"Lesion class {k}") for k in range(1, num_classes + 1)}

    def to_plain(self) -> dict[str, Any]:
        """For JSON and checkpoints."""
        return {
            "intensity": self.intensity and self.intensity.to_plain(),
            "bits": self.bits,
            "labels": {str(value): name for value, name in self.labels.items()},
        }
