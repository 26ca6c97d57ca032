"""Classes of lesion: their names, their values in class maps, their channels in a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from datasets.card import CARD_FILE, read_card
from utils.errors import UserError, suggestion

Wanted = Literal["all"] | Sequence[str] | Mapping[str, int] | None
_NUM_VALUES = 2**16  # of an image of 16 bits


def choose_classes(wanted: Wanted, root: Path) -> dict[str, int]:
    """The classes that are to be told apart.

    Args:
        wanted: None for lesion against background; "all" for those of dataset.json; names of
            these; or names with their values in the class maps.
        root: The data folder, whose dataset.json is read for values that are not given.

    Returns:
        Value in the class maps by name, in the order of the channels 1, 2, ... of a network, whose
        channel 0 is the background; {} for None.

    Raises:
        UserError: dataset.json is missing or has no such class, or one name twice.
    """
    if wanted is None or isinstance(wanted, Mapping):
        return dict(wanted or {})
    card = read_card(root)
    if card is None or not card.labels:
        raise UserError(
            f"data.classes: {root / CARD_FILE} names no classes; give their values in the class "
            "maps, such as data.classes={ground-glass: 1, consolidation: 2}"
        )
    known = {name: value for value, name in sorted(card.labels.items())}
    if len(known) < len(card.labels):
        raise UserError(f"data.classes: {root / CARD_FILE} has one name for two classes")
    for name in () if wanted == "all" else wanted:
        if name not in known:
            raise UserError(
                f"data.classes: {root / CARD_FILE} has no class {name!r}"
                f"{suggestion(name, known)}; known: {', '.join(known)}"
            )
    return known if wanted == "all" else {name: known[name] for name in wanted}


def to_channels(stored: np.ndarray, values: Sequence[int]) -> np.ndarray:
    """A class map as stored, by the channels of a network.

    Args:
        stored: (H, W) uint8 or uint16.
        values: Of the classes, in the order of the channels from 1.

    Returns:
        (H, W) uint8: 0 background, which is every value that is not listed, else 1, 2, ...
    """
    channels = np.zeros(_NUM_VALUES, np.uint8)
    channels[list(values)] = np.arange(1, len(values) + 1)
    return channels[stored]


def to_values(channels: np.ndarray, values: Sequence[int]) -> np.ndarray:
    """The reverse of to_channels: (H, W) uint8, or uint16 where a value needs it."""
    table = np.array([0, *values], np.uint8 if max(values) < 256 else np.uint16)
    return table[channels]
