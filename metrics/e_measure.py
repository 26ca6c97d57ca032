"""Enhanced-alignment measure (E-measure) over 256 thresholds.

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

NUM_THRESHOLDS = 256
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
    num_px = target.size
    if num_px == 1:
        raise ValueError("the E-measure divides by H W - 1 and needs at least 2 px, got 1")
    false_positive, true_positive = _counts_at_thresholds(prob, target)
    num_target = int(true_positive[0])  # threshold 0 marks everything
    num_pred = true_positive + false_positive
    if num_target == 0:
        total = (num_px - num_pred).astype(np.float64)
    elif num_target == num_px:
        total = num_pred.astype(np.float64)
    else:
        false_negative = num_target - true_positive
        true_negative = num_px - num_target - false_positive
        total = np.zeros(NUM_THRESHOLDS)
        for in_target, in_pred, count in (
            (1, 1, true_positive),
            (1, 0, false_negative),
            (0, 1, false_positive),
            (0, 0, true_negative),
        ):
            total += count * _enhanced(in_target - num_target / num_px, in_pred - num_pred / num_px)
    return total / (num_px - 1 + _EPS)


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


def _counts_at_thresholds(
    prob: NDArray[np.floating], target: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """(2, 256) px with prob >= k / 255: row 0 off the lesion, row 1 on it.

    The floor of 255 prob is that comparison, float by float: in float32 as in float64,
    k / 255 * 255 is exactly k, and the float just below k / 255 gives less, for every k.
    """
    levels = (prob * (NUM_THRESHOLDS - 1)).astype(np.int64)
    histogram = np.bincount(
        (levels + NUM_THRESHOLDS * target).ravel(), minlength=2 * NUM_THRESHOLDS
    ).reshape(2, NUM_THRESHOLDS)
    return histogram[:, ::-1].cumsum(axis=1)[:, ::-1]


def _enhanced(target_centred: float, pred_centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """(1 + alignment)^2 / 4 of one kind of pixel, at each threshold."""
    energy = target_centred**2 + pred_centred**2
    alignment = 2 * target_centred * pred_centred / (energy + _EPS)
    return (1 + alignment) ** 2 / 4
