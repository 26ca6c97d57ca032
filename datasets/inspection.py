"""Inspection of a split: how its masks are written, and whether every file is fit."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from datasets.image_io import read_gray
from datasets.pairing import SliceFiles
from datasets.stored import SliceFacts, read_slices
from utils.errors import UserError
from utils.messages import count

_MAX_LISTED = 8


class MaskEncoding(NamedTuple):
    """How a data set writes its masks.

    Attributes:
        lesion_values: The grey values of the lesion.
        name: For the log.
        classes: Name of every value where they are classes; empty where all are lesion.
    """

    lesion_values: tuple[int, ...]
    name: str
    classes: tuple[str, ...] = ()


class SplitInspection(NamedTuple):
    """What every file of a split was found to be; how many slices show a class, by its name."""

    encoding: MaskEncoding
    has_lesion: tuple[bool, ...]
    sizes: Counter[tuple[int, int]]
    slices_per_class: Mapping[str, int] = MappingProxyType({})


def inspect_slices(
    slices: Sequence[SliceFiles],
    lesion_values: Sequence[int] | None = None,
    facts: Sequence[SliceFacts] | None = None,
    classes: Mapping[str, int] = MappingProxyType({}),
) -> SplitInspection:
    """Inspect every file of a split, so that a bad one stops the run before it starts.

    Args:
        slices: The files.
        lesion_values: Grey values that mean lesion; None recognises 0/1 and 0/255.
        facts: What datasets.cache found in the files; None reads them once.
        classes: Value of every class by name, where the masks are class maps.

    Raises:
        UserError: A file is damaged, sizes of a pair differ, or a mask holds unexpected values.
    """
    if facts is None:
        facts = [fact for _, fact in read_slices(slices)]
    masks, values = [files.mask for files in slices], [fact.mask_values for fact in facts]
    if classes:
        encoding = _check_classes(masks, values, classes)
    else:
        encoding = recognise_masks(masks, values, lesion_values)
    has_lesion = tuple(not own.isdisjoint(encoding.lesion_values) for own in values)
    slices_per_class = {
        name: sum(value in own for own in values) for name, value in classes.items()
    }
    sizes = Counter(fact.size for fact in facts)
    return SplitInspection(encoding, has_lesion, sizes, slices_per_class)


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
        listed = ", ".join(map(str, sorted(unexpected)[:_MAX_LISTED]))
        num_more = len(unexpected) - _MAX_LISTED
        more = f" and {num_more} more" if num_more > 0 else ""
        raise UserError(f"{next(found)}: unexpected mask values {listed}{more}; {hint}")
    return known


def _check_classes(
    paths: Sequence[Path], mask_values: Sequence[frozenset[int]], classes: Mapping[str, int]
) -> MaskEncoding:
    """The encoding of class maps, once every value is known to be a class.

    Raises:
        UserError: There are others; lists them with their counts, and a file.
    """
    known = {0, *classes.values()}
    bad = [path for path, own in zip(paths, mask_values, strict=True) if own - known]
    if bad:
        counts: Counter[int] = Counter()
        for path in bad:
            values, px = np.unique(read_gray(path), return_counts=True)
            counts.update(dict(zip(values.tolist(), px.tolist(), strict=True)))
        found = [f"{value} ({counts[value]:,} px)" for value in sorted(counts.keys() - known)]
        more = f" and {len(found) - _MAX_LISTED} more" if len(found) > _MAX_LISTED else ""
        raise UserError(
            f"{bad[0]}: one of {count(len(bad), 'class map')} with values that are no class: "
            f"{', '.join(found[:_MAX_LISTED])}{more}; name every value in data.classes, or mend "
            "the maps"
        )
    told = ", ".join(f"{name} {value}" for name, value in classes.items())
    return MaskEncoding(tuple(classes.values()), f"of classes ({told})", tuple(classes))
