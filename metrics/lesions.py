"""Lesion-wise detection: how many lesions were found, and how many predicted ones are false.

Dice is ruled by the largest lesion; here a lesion of 5 px counts as much as one of 5000 px. Lesions
are the connected components of a mask under 8-connectivity: pixels that touch at a corner belong
together. Components are those of one slice, so a lesion that spans ten slices counts ten times; in
a volume (26-connectivity) it counts once.

- A lesion of the target is found if the prediction covers at least one of its pixels.
- A predicted lesion is false if it touches no lesion of the target.

One blob over everything therefore finds every lesion and is itself not false: read these numbers
beside Dice, never alone.

| target | prediction | lesion F1 |
|---|---|---|
| no lesion | no lesion | 1, 0 or NaN, as `empty_target` says |
| no lesion | lesions | 0: false alarms |
| lesions | no lesion | 0: missed lesions |
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from metrics.checks import check_mask, check_same_shape
from metrics.overlap import EmptyTarget, empty_score
from metrics.surface import bounding_box


class LesionCounts(NamedTuple):
    """Lesions of one case, or pooled ones; pool_lesion_counts adds, `+` would concatenate.

    Attributes:
        num_lesions: Lesions of the target.
        num_lesions_found: Those of which the prediction covers at least one px.
        num_pred_lesions: Predicted lesions.
        num_pred_lesions_false: Those that touch no lesion of the target.
    """

    num_lesions: int
    num_lesions_found: int
    num_pred_lesions: int
    num_pred_lesions_false: int


def count_lesions(pred: NDArray[np.bool_], target: NDArray[np.bool_]) -> LesionCounts:
    """Counts the lesions of both masks, the found and the false ones.

    Args:
        pred: (H, W) bool, or (D, H, W).
        target: The same, True on the lesion.

    Raises:
        ValueError: Another dtype, or shapes that differ.
    """
    check_mask("pred", pred, may_be_volume=True)
    check_mask("target", target, may_be_volume=True)
    check_same_shape("pred", pred, target)
    box = bounding_box(pred | target)
    pred, target = pred[box], target[box]
    num_lesions, num_found = _count(target, pred)
    num_pred, num_true = _count(pred, target)
    return LesionCounts(num_lesions, num_found, num_pred, num_pred - num_true)


def pool_lesion_counts(counts: Iterable[LesionCounts]) -> LesionCounts:
    """Adds up the counts of several cases; all 0 for no case."""
    return LesionCounts(*np.sum([(0, 0, 0, 0), *counts], axis=0, dtype=np.int64).tolist())


def lesion_f1(counts: LesionCounts, *, empty_target: EmptyTarget) -> float:
    """Lesion-wise F1: harmonic mean of the share of lesions found and of predicted ones not false.

    Args:
        counts: Of one case, or pooled ones.
        empty_target: Score where neither the target nor the prediction has a lesion.

    Returns:
        In [0, 1], or NaN under the policy "nan"; 1 is perfect.

    Raises:
        ValueError: Unknown policy.
    """
    of_nothing = empty_score(empty_target)
    if counts.num_lesions == 0 and counts.num_pred_lesions == 0:
        return of_nothing
    if counts.num_lesions_found == 0:
        return 0.0  # then no predicted lesion is true either, and each 0 / 0 is settled
    found = counts.num_lesions_found / counts.num_lesions
    true = 1 - counts.num_pred_lesions_false / counts.num_pred_lesions
    return 2 * found * true / (found + true)


def _count(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[int, int]:
    """Components of a mask, and how many of them share a px with the other mask."""
    labels, num_components = label(mask, structure=np.ones((3,) * mask.ndim, bool))
    # Label 0 is the background.
    return num_components, int(np.count_nonzero(np.bincount(labels[other])[1:]))
