"""Inputs in batches: the same ones for the same seed, kind and number."""

import zlib
from collections.abc import Callable
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.kind import KINDS, Files, find_kind

BATCH = 40


class Batch(NamedTuple):
    """Inputs `BATCH * number` and so on of a kind.

    Attributes:
        kind: Name in KINDS, or where a kind of a test's own is, as in 'module:NAME'.
        number: From 0.
        first: Index of the first input that is to be tried; those before are drawn alone.
        last: Index of the last one.
    """

    kind: str
    number: int
    first: int
    last: int

    @classmethod
    def whole(cls, kind: str, number: int, count: int = BATCH) -> "Batch":
        """The first inputs of a batch, if not all of them."""
        return cls(kind, number, BATCH * number, BATCH * number + count - 1)


def each_input(batch: Batch, campaign_seed: int, use: Callable[[int, Files], None]) -> None:
    """Call `use` with the index and the files of every input of a batch.

    Where Hypothesis knows of fewer inputs than a batch has, these are all.
    """
    kind = find_kind(KINDS.get(batch.kind, batch.kind))
    index = BATCH * batch.number - 1

    @seed(zlib.crc32(f"{campaign_seed} {batch.kind} {batch.number}".encode()))
    @settings(
        max_examples=BATCH,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(kind.inputs)
    def draw(files: Files) -> None:
        nonlocal index
        index += 1
        if batch.first <= index <= batch.last:
            use(index, files)

    draw()
