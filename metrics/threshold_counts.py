"""Pixel counts of one case at 256 thresholds, from one histogram, and the curves made of them.

Two conventions for the ratios without a denominator, told apart by the name of the function:
    - overlap_curves: the table at the head of metrics/overlap.py, at every threshold by itself.
    - inf_net_curves: wherever no lesion px is predicted, all five scores are 0, specificity too,
      so that a healthy case with a blank map scores 0 throughout. Source: MATLAB evaluation of
      D.-P. Fan et al., "Inf-Net: automatic COVID-19 lung infection segmentation from CT images",
      IEEE TMI 39 (2020) 2626, doi 10.1109/TMI.2020.2996645: `prob >= threshold` from 1 down to 0
      in steps of 1/255, the mean of all cases at each threshold first, then over the thresholds.

Threshold 0 marks every pixel, so a perfect binary map has a mean specificity of 255 / 256.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from metrics.checks import check_case
from metrics.overlap import EmptyTarget, empty_score

NUM_THRESHOLDS = 256
BETA_SQUARED = 0.3  # of the F-measure: precision counts more (Achanta et al., CVPR 2009)
# Neighbours are often of the same level, and a processor waits between two increments of a cell;
# with four copies of the histogram, taken in turn along a row, it hardly does.
_NUM_BANKS = 4
_MAX_EXACT_FLOAT32 = 2**24


class OverlapCurves(NamedTuple):
    """Scores of one case at the thresholds k / 255, k = 0 .. 255; each (256,) float64.

    Attributes:
        dice: 2 |P & G| / (|P| + |G|).
        sensitivity: |P & G| / |G|.
        specificity: Share of the background that is not predicted.
        precision: |P & G| / |P|.
        f_measure: 1.3 precision sensitivity / (0.3 precision + sensitivity), beta^2 = 0.3.
    """

    dice: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    specificity: NDArray[np.float64]
    precision: NDArray[np.float64]
    f_measure: NDArray[np.float64]


def threshold_counts(prob: NDArray[np.floating], target: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Counts the pixels with `prob >= k / 255`, k = 0 .. 255, off and on the lesion.

    Args:
        prob: (H, W) float32 or float64, probabilities in [0, 1].
        target: (H, W) bool, True on the lesion.

    Returns:
        (2, 256) int64 px in the order of rising thresholds, row 0 off the lesion, row 1 on it.
        Threshold 0 marks everything: column 0 has the px of the background and of the lesion.

    Raises:
        ValueError: Shapes that differ, another dtype, NaN, or values outside [0, 1].
    """
    check_case(prob, target)
    return unchecked_threshold_counts(prob, target)


def unchecked_threshold_counts(
    prob: NDArray[np.floating], target: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """As threshold_counts, for a case that check_case has passed.

    The floor of 255 prob is the comparison with k / 255, float by float: in float32 as in float64,
    k / 255 * 255 is exactly k, and the float just below k / 255 gives less, for every k.
    """
    cells = (prob * (NUM_THRESHOLDS - 1)).astype(np.uint16)
    cells += (np.arange(target.shape[1]) % _NUM_BANKS * NUM_THRESHOLDS).astype(np.uint16)
    cells += np.multiply(target, _NUM_BANKS * NUM_THRESHOLDS, dtype=np.uint16)
    histogram = _count(cells).reshape(2, _NUM_BANKS, NUM_THRESHOLDS).sum(axis=1)
    return histogram[:, ::-1].cumsum(axis=1)[:, ::-1]


def overlap_curves(counts: NDArray[np.int64], *, empty_target: EmptyTarget) -> OverlapCurves:
    """Dice, sensitivity, specificity, precision, F at each threshold, as metrics/overlap.py.

    Args:
        counts: (2, 256) int64 of threshold_counts.
        empty_target: Score of a 0 / 0, see the head of metrics/overlap.py.

    Returns:
        Each in [0, 1], or NaN under the policy "nan".

    Raises:
        ValueError: Unknown policy.
    """
    score = empty_score(empty_target)
    (false_positive, hits), (num_background, num_target) = counts, counts[:, 0]
    num_pred = false_positive + hits
    both_empty = (num_pred == 0) & (num_target == 0)
    ratios = _ratios_of_hits(hits, num_pred, num_target)
    dice, sensitivity, precision, f = (np.where(both_empty, score, ratio) for ratio in ratios)
    specificity = _ratio(num_background - false_positive, num_background)
    if num_background == 0:
        specificity[:] = score
    return OverlapCurves(dice, sensitivity, specificity, precision, f)


def inf_net_curves(counts: NDArray[np.int64]) -> OverlapCurves:
    """The same five under the Inf-Net toolbox's rule: all are 0 where nothing is hit.

    Args:
        counts: (2, 256) int64 of threshold_counts.

    Returns:
        Each in [0, 1]; the specificity of a full target, which has no background, is 0.
    """
    (false_positive, hits), (num_background, num_target) = counts, counts[:, 0]
    dice, sensitivity, precision, f = _ratios_of_hits(hits, false_positive + hits, num_target)
    specificity = _ratio(num_background - false_positive, num_background) * (hits > 0)
    return OverlapCurves(dice, sensitivity, specificity, precision, f)


def _count(cells: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Px of each cell of the histogram."""
    num_cells = 2 * _NUM_BANKS * NUM_THRESHOLDS
    if cells.size > _MAX_EXACT_FLOAT32:  # OpenCV takes half the time, and counts in float32
        return np.bincount(cells.ravel(), minlength=num_cells)
    counts = cv2.calcHist([cells], [0], None, [num_cells], [0, num_cells])
    return counts.ravel().astype(np.int64)


def _ratios_of_hits(
    hits: NDArray[np.int64], num_pred: NDArray[np.int64], num_target: np.int64
) -> tuple[NDArray[np.float64], ...]:
    """Dice, sensitivity, precision and F-measure, 0 where nothing is hit."""
    return (
        _ratio(2 * hits, num_pred + num_target),
        _ratio(hits, num_target),
        _ratio(hits, num_pred),
        _ratio((1 + BETA_SQUARED) * hits, BETA_SQUARED * num_target + num_pred),
    )


def _ratio(
    numerator: NDArray[np.int64], denominator: NDArray[np.int64] | np.int64
) -> NDArray[np.float64]:
    """The quotients, 0 where the numerator is 0."""
    return numerator / np.where(numerator == 0, 1, denominator)
