"""Overlap of a binary prediction with its target, from the counts of the confusion matrix.

Source: Dice, sensitivity and precision are equations 7, 9 and 10 of Hu et al., "Deep co-supervision
and attention fusion strategy for automatic COVID-19 lung infection segmentation on CT images",
Pattern Recognition 124 (2022) 108452; IoU and specificity are not in that paper.

The paper does not say what a slice without lesion scores, and published tools disagree, so the
policy has no default:

| target | prediction | dice, iou, sensitivity, precision | specificity |
|---|---|---|---|
| empty | empty | 1, 0 or NaN, as `empty_target` says | 1 |
| empty | not empty | 0: a false alarm | TN / (TN + FP) |
| not empty | empty | 0: a missed lesion; the 0 / 0 of precision is 0 as well | 1 |
| full | any | as above | 1, 0 or NaN, as `empty_target` says: no background |

A macro mean scores each case and averages; a pooled value scores `pool_confusions` of all cases.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metrics.checks import check_mask, check_same_shape

EmptyTarget = Literal["one", "zero", "nan"]
_EMPTY_SCORES = {"one": 1.0, "zero": 0.0, "nan": float("nan")}


class Confusion(NamedTuple):
    """Pixel counts of one case, or pooled ones; pool_confusions adds, `+` would concatenate.

    Attributes:
        true_positive: Lesion px that are predicted.
        false_positive: Predicted px that are no lesion.
        false_negative: Lesion px that are not predicted.
        true_negative: All other px.
    """

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def num_target(self) -> int:
        """Lesion px."""
        return self.true_positive + self.false_negative

    @property
    def num_pred(self) -> int:
        """Predicted px."""
        return self.true_positive + self.false_positive


def confusion(pred: NDArray[np.bool_], target: NDArray[np.bool_]) -> Confusion:
    """Counts the four agreements of a thresholded prediction with the target.

    Args:
        pred: (H, W) bool.
        target: (H, W) bool, True on the lesion.

    Raises:
        ValueError: Another dtype, or shapes that differ.
    """
    check_mask("pred", pred)
    check_mask("target", target)
    check_same_shape("pred", pred, target)
    true_positive = int(np.count_nonzero(pred & target))
    false_positive = int(np.count_nonzero(pred)) - true_positive
    false_negative = int(np.count_nonzero(target)) - true_positive
    true_negative = target.size - true_positive - false_positive - false_negative
    return Confusion(true_positive, false_positive, false_negative, true_negative)


def pool_confusions(confusions: Iterable[Confusion]) -> Confusion:
    """Adds up the counts of several cases, as if they were one image; all 0 for no case."""
    return Confusion(*np.sum([(0, 0, 0, 0), *confusions], axis=0, dtype=np.int64).tolist())


def check_empty_target(empty_target: EmptyTarget) -> None:
    """Refuses an unknown policy.

    Raises:
        ValueError: Not one of "one", "zero", "nan".
    """
    if empty_target not in _EMPTY_SCORES:
        raise ValueError(f"empty_target must be one of {list(_EMPTY_SCORES)}, got {empty_target!r}")


def empty_score(empty_target: EmptyTarget) -> float:
    """What a score without a pixel to judge becomes under the policy.

    Raises:
        ValueError: Not one of "one", "zero", "nan".
    """
    check_empty_target(empty_target)
    return _EMPTY_SCORES[empty_target]


def dice(confusion: Confusion, *, empty_target: EmptyTarget) -> float:
    """Dice similarity coefficient, 2 |P & G| / (|P| + |G|) (eq. 7).

    Args:
        confusion: Counts of one case, or pooled ones.
        empty_target: Score where target and prediction are both empty.

    Returns:
        In [0, 1], or NaN under the policy "nan".

    Raises:
        ValueError: Unknown policy.
    """
    num_both = confusion.num_pred + confusion.num_target
    return _score(2 * confusion.true_positive, num_both, confusion, empty_target)


def iou(confusion: Confusion, *, empty_target: EmptyTarget) -> float:
    """Intersection over union, |P & G| / |P | G|, the Jaccard index.

    Args:
        confusion: Counts of one case, or pooled ones.
        empty_target: Score where target and prediction are both empty.

    Returns:
        In [0, 1], or NaN under the policy "nan".

    Raises:
        ValueError: Unknown policy.
    """
    num_either = confusion.num_pred + confusion.false_negative
    return _score(confusion.true_positive, num_either, confusion, empty_target)


def sensitivity(confusion: Confusion, *, empty_target: EmptyTarget) -> float:
    """Sensitivity, |P & G| / |G|: the share of the lesion that was found (eq. 9).

    Args:
        confusion: Counts of one case, or pooled ones.
        empty_target: Score where target and prediction are both empty.

    Returns:
        In [0, 1], or NaN under the policy "nan".

    Raises:
        ValueError: Unknown policy.
    """
    return _score(confusion.true_positive, confusion.num_target, confusion, empty_target)


def precision(confusion: Confusion, *, empty_target: EmptyTarget) -> float:
    """Precision, |P & G| / |P|: the share of the prediction that is lesion (eq. 10).

    Args:
        confusion: Counts of one case, or pooled ones.
        empty_target: Score where target and prediction are both empty.

    Returns:
        In [0, 1], or NaN under the policy "nan".

    Raises:
        ValueError: Unknown policy.
    """
    return _score(confusion.true_positive, confusion.num_pred, confusion, empty_target)


def specificity(confusion: Confusion, *, empty_target: EmptyTarget) -> float:
    """Specificity, TN / (TN + FP): the share of the background that is not predicted.

    Args:
        confusion: Counts of one case, or pooled ones.
        empty_target: Score where there is no background, which is 0 / 0 as well.

    Returns:
        In [0, 1], or NaN under the policy "nan"; an empty target is scored as any other.

    Raises:
        ValueError: Unknown policy.
    """
    score = empty_score(empty_target)
    num_background = confusion.true_negative + confusion.false_positive
    return confusion.true_negative / num_background if num_background else score


def _score(
    numerator: int, denominator: int, confusion: Confusion, empty_target: EmptyTarget
) -> float:
    """The ratio under the table at the head of this file."""
    score = empty_score(empty_target)
    if confusion.num_target == 0 and confusion.num_pred == 0:
        return score
    # Without a hit every one of the four is 0, which also settles each 0 / 0 that is left.
    return numerator / denominator if confusion.true_positive else 0.0
