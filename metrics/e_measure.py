"""Enhanced-alignment measure (E-measure): over 256 thresholds, and at the adaptive one.

Source: D.-P. Fan, C. Gong, Y. Cao, B. Ren, M.-M. Cheng, A. Borji, "Enhanced-alignment measure for
binary foreground map evaluation", IJCAI 2018, doi 10.24963/ijcai.2018/97; equation 11 of Hu et al.,
Pattern Recognition 124 (2022) 108452.

At one threshold every pixel has one of only four values (hit or miss, lesion or background), so
the sum over the image needs four counts, and one histogram holds the counts of all thresholds.

Deviations:
    - Equation 11 divides by N = W H; the published toolbox, whose numbers papers print, divides by
      N - 1 + eps, and so does this file. A perfect map therefore scores N / (N - 1) at a threshold,
      1.000015 at 256 x 256, and a single pixel has no score.
    - The map is taken raw, without the toolbox's stretch by minimum and maximum.

1 is out of reach for the mean: threshold 0 marks every pixel and gives a quarter of the score, so
a perfect binary map has a mean of 255.25 / 256 * N / (N - 1), 0.99709 at 256 x 256.
"""

import numpy as np
from numpy.typing import NDArray

from metrics.checks import check_case
from metrics.threshold_counts import unchecked_threshold_counts

_EPS = float(np.finfo(np.float64).eps)


def e_measure_curve(prob: NDArray[np.floating], target: NDArray[np.bool_]) -> NDArray[np.float64]:
    """E-measure of `prob >= k / 255` for k = 0 .. 255 (eq. 11).

    With the centred maps a = G - mean(G) and c = P - mean(P) of target and thresholded prediction:
    alignment = 2 a c / (a^2 + c^2 + eps), and the score is the sum over the pixels of
    (1 + alignment)^2 / 4, over N - 1 + eps. An empty target counts the background of the prediction
    instead, a full one its foreground.

    Args:
        prob: (H, W) float32 or float64, probabilities in [0, 1].
        target: (H, W) bool, True on the lesion.

    Returns:
        (256,) float64, each in [0, N / (N - 1)], in the order of rising thresholds.

    Raises:
        ValueError: Shapes that differ, another dtype, NaN, values outside [0, 1], or one px only.
    """
    check_case(prob, target)
    return e_measure_curve_of_counts(unchecked_threshold_counts(prob, target))


def e_measure_mean(prob: NDArray[np.floating], target: NDArray[np.bool_]) -> float:
    """Mean of the E-measure over the 256 thresholds, the E_phi of the paper's tables.

    Args:
        prob: (H, W) float32 or float64, probabilities in [0, 1].
        target: (H, W) bool, True on the lesion.

    Returns:
        In [0, N / (N - 1)]; see the head of this file for what a perfect map scores.

    Raises:
        ValueError: As e_measure_curve.
    """
    return float(e_measure_curve(prob, target).mean())


def e_measure_max(prob: NDArray[np.floating], target: NDArray[np.bool_]) -> float:
    """E-measure at the best of the 256 thresholds of this one case.

    Tables of several cases often give the maximum of their mean curve instead, which is lower.

    Args:
        prob: (H, W) float32 or float64, probabilities in [0, 1].
        target: (H, W) bool, True on the lesion.

    Returns:
        In [0, N / (N - 1)].

    Raises:
        ValueError: As e_measure_curve.
    """
    return float(e_measure_curve(prob, target).max())


def e_measure_adaptive(prob: NDArray[np.floating], target: NDArray[np.bool_]) -> float:
    """E-measure at the adaptive threshold, `prob >= min(2 mean(prob), 1)`.

    Args:
        prob: (H, W) float32 or float64, probabilities in [0, 1].
        target: (H, W) bool, True on the lesion.

    Returns:
        In [0, N / (N - 1)].

    Raises:
        ValueError: As e_measure_curve.
    """
    check_case(prob, target)
    num_target = np.count_nonzero(target)
    sizes = np.array([target.size - num_target, num_target])
    counts = adaptive_counts(prob, target, float(prob.mean(dtype=np.float64)))
    return float(e_measure_of_counts(counts, sizes)[0])


def e_measure_curve_of_counts(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """As e_measure_curve, where the histogram is made already; `.mean()` is e_measure_mean.

    Args:
        counts: (2, 256) int64 of threshold_counts.

    Raises:
        ValueError: One px only.
    """
    return e_measure_of_counts(counts, counts[:, 0])  # threshold 0 marks everything


def e_measure_of_counts(counts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """E-measure of any number of binary predictions of one case.

    Args:
        counts: (2, K) int64, predicted px off and on the lesion.
        sizes: (2,) int64, px of the background and of the lesion.

    Returns:
        (K,) float64.

    Raises:
        ValueError: One px only.
    """
    num_px = int(sizes.sum())
    if num_px == 1:
        raise ValueError("the E-measure divides by H W - 1 and needs at least 2 px, got 1")
    num_pred = counts.sum(axis=0)
    num_background, num_target = sizes.tolist()
    if num_target == 0:
        total = num_px - num_pred
    elif num_background == 0:
        total = num_pred
    else:
        # Axes: off and on the lesion; not predicted and predicted; predictions.
        num_kind = np.empty((2, 2, num_pred.size))
        num_kind[:, 0], num_kind[:, 1] = sizes[:, None] - counts, counts
        mean_target, mean_pred = num_target / num_px, num_pred / num_px
        target_centred = np.array([-mean_target, 1 - mean_target])[:, None, None]
        pred_centred = np.stack([-mean_pred, 1 - mean_pred])
        score = 2 * target_centred * pred_centred / (target_centred**2 + pred_centred**2 + _EPS)
        score += 1
        score *= score
        score *= num_kind
        total = score.reshape(4, -1).sum(axis=0) / 4
    return total / (num_px - 1 + _EPS)


def adaptive_counts(
    prob: NDArray[np.floating], target: NDArray[np.bool_], mean: float
) -> NDArray[np.int64]:
    """(2, 1) px at the adaptive threshold, off and on the lesion, of a case that is checked.

    Args:
        prob: (H, W) float32 or float64, probabilities in [0, 1].
        target: (H, W) bool, True on the lesion.
        mean: Mean of prob in float64.
    """
    exact = min(2 * mean, 1.0)
    threshold = prob.dtype.type(exact)
    if float(threshold) < exact:  # numpy would compare in float32, rounded
        threshold = np.nextafter(threshold, prob.dtype.type(1))
    pred = prob >= threshold
    num_hits = np.count_nonzero(pred & target)
    return np.array([[np.count_nonzero(pred) - num_hits], [num_hits]])
