"""Masks of a data folder that lie wrong on their images."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from datasets.slice_names import patient_of_stem
from preparation.checks.leaks import PlacedSlice
from preparation.checks.mask_fit import LESIONS, LUNGS, Misfit
from preparation.checks.mask_review import MaskReview, SliceThumbnails
from preparation.checks.slice_fit import find_lone_misfits
from utils.messages import count


class MisplacedMasks(NamedTuple):
    """Masks that lie wrong.

    Attributes:
        problems: A line for all masks of a kind that lie wrong in one way, or look inverted.
        suspicions: A line for single slices among those that lie right.
    """

    problems: list[str]
    suspicions: list[str]


def explain_misfits(
    root: Path, slices: Sequence[PlacedSlice], thumbnails: Sequence[SliceThumbnails]
) -> MisplacedMasks:
    """Which masks lie wrong on their images.

    Args:
        root: The data folder.
        slices: Of all splits.
        thumbnails: Of the same.
    """
    scans: dict[tuple[str, str, bool], list[tuple[str, SliceThumbnails]]] = defaultdict(list)
    for item, small in zip(slices, thumbnails, strict=True):
        scan = (item.patient, patient_of_stem(item.name), small.is_square)
        scans[scan].append((item.name, small))
    review = MaskReview()
    names: dict[str, list[str]] = defaultdict(list)
    for (patient, _, _), found in sorted(scans.items()):
        found.sort(key=lambda pair: _order(pair[0]))
        review.add(patient, [small for _, small in found])
        names[patient] += [name for name, small in found if small.lesion is not None]
    misfits = review.misfits()
    problems = [
        f"{root}: {misfit.describe()}: convert them again with --mask-orientation "
        f"{'lungs=' if misfit.kind == LUNGS else ''}{misfit.position.name}"
        for misfit in misfits
    ]
    problems += [f"{root}: {sentence}" for sentence in review.inverted()]
    return MisplacedMasks(problems, _explain_lone(root, review, names, misfits))


def _explain_lone(
    root: Path, review: MaskReview, names: Mapping[str, Sequence[str]], misfits: Sequence[Misfit]
) -> list[str]:
    """A line on single slices; none where all lesions lie wrong."""
    wrong = [misfit.patients for misfit in misfits if misfit.kind == LESIONS]
    if () in wrong:
        return []
    right = {
        patient: counts
        for patient, counts in review.counts(LESIONS).items()
        if not any(patient in patients for patients in wrong)
    }
    stems = [name for patient in right for name in names[patient]]
    found = find_lone_misfits([item for counts in right.values() for item in counts])
    if not found:
        return []
    listed = [f"{stems[place]} ({position.words})" for place, position in found]
    lesions = "the lesion" if len(listed) == 1 else "the lesions"
    return [
        f"{root}: {lesions} of {count(len(listed), 'slice')} fit the image far better in another "
        f"position, look at them: {', '.join(listed)}"
    ]


def _order(name: str) -> list[tuple[int, str]]:
    """The numbers in a name count as numbers: slice 9 comes before slice 10."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
