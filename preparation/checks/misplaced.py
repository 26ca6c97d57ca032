"""Masks of a data folder that lie wrong on their images."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from datasets.slice_names import patient_of_stem
from preparation.checks.leaks import PlacedSlice
from preparation.checks.mask_fit import LUNGS
from preparation.checks.mask_review import MaskReview, SliceThumbnails


def explain_misfits(
    root: Path, slices: Sequence[PlacedSlice], thumbnails: Sequence[SliceThumbnails]
) -> list[str]:
    """A line for all masks of a kind that lie wrong in one way.

    Args:
        root: The data folder.
        slices: Of all splits.
        thumbnails: Of the same.
    """
    scans: dict[tuple[str, str, bool], list[tuple[list, SliceThumbnails]]] = defaultdict(list)
    for item, small in zip(slices, thumbnails, strict=True):
        scan = (item.patient, patient_of_stem(item.name), small.is_square)
        scans[scan].append((_order(item.name), small))
    review = MaskReview()
    for (patient, _, _), found in sorted(scans.items()):
        review.add(patient, [small for _, small in sorted(found, key=lambda pair: pair[0])])
    return [
        f"{root}: {misfit.describe()}: convert them again with --mask-orientation "
        f"{'lungs=' if misfit.kind == LUNGS else ''}{misfit.position.name}"
        for misfit in review.misfits()
    ]


def _order(name: str) -> list[tuple[int, str]]:
    """The numbers in a name count as numbers: slice 9 comes before slice 10."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
