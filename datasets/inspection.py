"""Inspection of a split: how its masks are written, and whether every file is fit."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datasets.pairing import SliceFiles
from datasets.stored import SliceFacts, read_slices
from utils.errors import UserError


class MaskEncoding(NamedTuple):
    """How a data set writes its masks: the grey values of the lesion, and a name for the log."""

    lesion_values: tuple[int, ...]
    name: str


class SplitInspection(NamedTuple):
    """What every file of a split was found to be."""

    encoding: MaskEncoding
    has_lesion: tuple[bool, ...]
    sizes: Counter[tuple[int, int]]


def inspect_slices(
    slices: Sequence[SliceFiles],
    lesion_values: Sequence[int] | None = None,
    facts: Sequence[SliceFacts] | None = None,
) -> SplitInspection:
    """Inspect every file of a split, so that a bad one stops the run before it starts.

    Args:
        slices: The files.
        lesion_values: Grey values that mean lesion; None recognises 0/1 and 0/255.
        facts: What datasets.cache found in the files; None reads them once.

    Raises:
        UserError: A file is damaged, sizes of a pair differ, or a mask holds unexpected values.
    """
    if facts is None:
        facts = [fact for _, fact in read_slices(slices)]
    encoding = recognise_masks(
        [files.mask for files in slices], [fact.mask_values for fact in facts], lesion_values
    )
    has_lesion = tuple(not fact.mask_values.isdisjoint(encoding.lesion_values) for fact in facts)
    return SplitInspection(encoding, has_lesion, Counter(fact.size for fact in facts))


def recognise_masks(
    paths: Sequence[Path],
    mask_values: Sequence[frozenset[int]],
    lesion_values: Sequence[int] | None = None,
) -> MaskEncoding:
    """The encoding that explains all values of a set of masks.

    Args:
        paths: The masks' files.
        mask_values: The grey values of each.
        lesion_values: Grey values that mean lesion; None recognises 0/1 and 0/255.

    Raises:
        UserError: A mask holds other values; names it.
    """
    values = set().union(*mask_values)
    if lesion_values is not None:
        known = MaskEncoding(tuple(lesion_values), f"lesion = {list(lesion_values)}")
        unexpected = values - {0} - set(lesion_values)
        hint = "list every lesion value in data.lesion_values"
    else:
        known = MaskEncoding((1,), "0/1") if values <= {0, 1} else MaskEncoding((255,), "0/255")
        unexpected = values - {0, *known.lesion_values}
        hint = "store 0/1 or 0/255, or name the lesion's values, data.lesion_values=[1,2,3]"
    if unexpected:
        found = (path for path, own in zip(paths, mask_values, strict=True) if own & unexpected)
        listed = ", ".join(map(str, sorted(unexpected)[:8]))
        more = f" and {len(unexpected) - 8} more" if len(unexpected) > 8 else ""
        raise UserError(f"{next(found)}: unexpected mask values {listed}{more}; {hint}")
    return known
