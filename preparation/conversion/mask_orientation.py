"""Masks brought to their images: what --mask-orientation says, and masks that need it."""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from datasets.sources.source import CaseSlice
from preparation.checks.mask_fit import LESIONS, LUNGS, Misfit
from preparation.checks.positions import NUM_TURNS, POSITIONS, REVERSE, STORED, Position, turn
from utils.errors import UserError

OPTION = "--mask-orientation"
_KINDS = {"": LESIONS, "lesions": LESIONS, "masks": LESIONS, "lungs": LUNGS}


class MaskOrientation(NamedTuple):
    """How the masks of a source are brought to their images.

    Attributes:
        lesions: Position that puts lesions, and edges, right.
        lungs: Position that puts lung masks right.
        as_stored: The kinds that stay as they are stored, whatever the images say.
    """

    lesions: Position = STORED
    lungs: Position = STORED
    as_stored: frozenset[str] = frozenset()

    def of(self, kind: str) -> Position:
        """The position of LESIONS or LUNGS."""
        return self.lesions if kind == LESIONS else self.lungs


def parse_mask_orientation(words: Sequence[str]) -> MaskOrientation:
    """What --mask-orientation says: transpose, lungs=mirror, lesions=transpose+reverse.

    Raises:
        UserError: No such position or kind of mask, or a kind that stands twice.
    """
    positions: dict[str, Position] = {}
    for word in words:
        head, _, name = word.strip().lower().rpartition("=")
        kind = _KINDS.get(head)
        position = next((item for item in POSITIONS if item.name == name), None)
        if kind is None or position is None:
            known = ", ".join(item.name for item in POSITIONS[: NUM_TURNS + 1])
            raise UserError(
                f"{OPTION} {word}: choose {known}, or two as in transpose+{REVERSE}, for the "
                "lesions; write lungs=mirror for lung masks"
            )
        if kind in positions:
            raise UserError(f"{OPTION} {word}: a second position of the {kind}; leave one out")
        positions[kind] = position
    as_stored = frozenset(kind for kind, position in positions.items() if position == STORED)
    return MaskOrientation(positions.get(LESIONS, STORED), positions.get(LUNGS, STORED), as_stored)


def oriented_slices(
    read: Callable[[int], Iterator[CaseSlice]], bits: int, wanted: MaskOrientation
) -> Iterator[CaseSlice]:
    """The slices of a case with their masks brought to the images.

    Masks in the opposite order are read in a pass of their own, and kept compressed.

    Args:
        read: See SourceCase.
        bits: See SourceCase.
        wanted: How.

    Raises:
        UserError: As `read`; or rows and columns of a mask that is not square are to be exchanged.
    """
    if (wanted.lesions, wanted.lungs) == (STORED, STORED):
        yield from read(bits)
        return
    packed = []
    if wanted.lesions.reverse or wanted.lungs.reverse:
        packed = [[_pack(array) for array in _masks(item)] for item in read(bits)][::-1]
    for place, item in enumerate(read(bits)):
        masks = []
        for number, (mask, position) in enumerate(
            zip(_masks(item), (wanted.lesions, wanted.lesions, wanted.lungs), strict=True)
        ):
            mask = _unpack(packed[place][number]) if position.reverse else mask
            masks.append(None if mask is None else _turned(mask, position))
        yield item._replace(label=masks[0], edge=masks[1], lung=masks[2])


def cures(misfits: Sequence[Misfit], given: MaskOrientation) -> str:
    """What the option has to say so that all these masks lie right."""
    found: Mapping[str, Position] = {item.kind: item.position for item in misfits}
    words = []
    for kind, head in ((LESIONS, ""), (LUNGS, "lungs=")):
        position = found.get(kind, STORED).after(given.of(kind))
        if kind in found or position != STORED:
            words.append(f"{head}{position.name}")
    return f"{OPTION} {' '.join(words)}"


def _masks(item: CaseSlice) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    return item.label, item.edge, item.lung


def _turned(mask: np.ndarray, position: Position) -> np.ndarray:
    height, width = mask.shape
    if position.exchanges_sides and height != width:
        raise UserError(
            f"{OPTION} {position.name}: exchanges the sides of masks of {height} x {width} px, "
            "which then do not fit their images; choose another position"
        )
    return np.ascontiguousarray(turn(mask, position.turn))


def _pack(mask: np.ndarray | None) -> tuple[bytes, np.dtype, tuple[int, ...]] | None:
    return None if mask is None else (zlib.compress(mask.tobytes(), 1), mask.dtype, mask.shape)


def _unpack(packed: tuple[bytes, np.dtype, tuple[int, ...]] | None) -> np.ndarray | None:
    if packed is None:
        return None
    data, dtype, shape = packed
    return np.frombuffer(zlib.decompress(data), dtype).reshape(shape)
