"""What a protocol of test.py is: what is scored at which size, and what the figures mean."""

from collections.abc import Callable
from dataclasses import dataclass

from metrics.case import Rules
from metrics.meter import CurveMeter


@dataclass(frozen=True)
class Protocol:
    """One way to score.

    Attributes:
        name: As --protocol has it.
        title: One line.
        notes: Formula and source, a sentence each.
        at_network_size: Whether targets are resized to the network's size; else probabilities are
            resized to the slice's.
        tables: Gives the keys of the columns of the tables, by caption.
        create_meter: Takes the configured rules, and whether the maps come from image files.
        sets_policy: Whether the protocol itself says how empty targets score, and the threshold.
    """

    name: str
    title: str
    notes: tuple[str, ...]
    at_network_size: bool
    tables: Callable[[], dict[str, tuple[str, ...]]]
    create_meter: Callable[[Rules, bool], CurveMeter]
    sets_policy: bool = True
