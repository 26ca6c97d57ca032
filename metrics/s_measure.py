"""Structure measure (S-measure) of a soft map.

Source: D.-P. Fan, M.-M. Cheng, Y. Liu, T. Li, A. Borji, "Structure-measure: a new way to evaluate
foreground maps", ICCV 2017, doi 10.1109/ICCV.2017.487; equation 8 of Hu et al., Pattern Recognition
124 (2022) 108452, which prints (1 - alpha) on the object part: the same number at alpha = 0.5.

A quadrant without lesion scores 1 if the prediction there is exactly constant, and 0 if not,
however faint. A raw sigmoid output can therefore score far less than the same map rounded to 8 bits
per pixel, as toolboxes read it from image files: where two of four quadrants hold no lesion and
background probabilities stay below 0.001, 0.75 instead of 1.00.

Deviation: the map is taken raw, without the toolbox's stretch by minimum and maximum.
"""

import numpy as np
from numpy.typing import NDArray

from metrics.checks import check_case

_EPS = float(np.finfo(np.float64).eps)


def s_measure(
    prob: NDArray[np.floating], target: NDArray[np.bool_], *, alpha: float = 0.5
) -> float:
    """Structure measure, alpha S_object + (1 - alpha) S_region, at least 0 (eq. 8).

    An empty target scores 1 - mean(prob), a full one mean(prob).

    Args:
        prob: (H, W) float32 or float64, probabilities in [0, 1].
        target: (H, W) bool, True on the lesion.
        alpha: Weight of the object part in [0, 1]; 0.5 as in both papers.

    Returns:
        In [0, 1]; 1 is perfect.

    Raises:
        ValueError: Shapes that differ, another dtype, NaN, or values outside [0, 1].
    """
    check_case(prob, target)
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], got {alpha}")
    prob = prob.astype(np.float64)
    num_target = int(np.count_nonzero(target))
    if num_target == 0:
        return float(1 - prob.mean())
    if num_target == target.size:
        return float(prob.mean())
    score = alpha * _object_part(prob, target) + (1 - alpha) * _region_part(prob, target)
    return max(0.0, score)


def _object_part(prob: NDArray[np.float64], target: NDArray[np.bool_]) -> float:
    """Object scores of the lesion and, on 1 - prob, of the background, weighted by their areas."""
    lesion_fraction = float(target.mean())
    lesion_score = _object_score(prob[target])
    background_score = _object_score(1 - prob[~target])
    return lesion_fraction * lesion_score + (1 - lesion_fraction) * background_score


def _object_score(values: NDArray[np.float64]) -> float:
    """2 mean / (mean^2 + 1 + std): near 1 for values that are uniformly near 1.

    The standard deviation has N - 1 in the denominator; that of a single pixel is 0.
    """
    mean = float(values.mean())
    std = float(values.std(ddof=1)) if values.size > 1 else 0.0
    return 2 * mean / (mean**2 + 1 + std + _EPS)


def _region_part(prob: NDArray[np.float64], target: NDArray[np.bool_]) -> float:
    """Similarities of the four quadrants around the target's centroid, weighted by their areas."""
    top, left = (_split(target.sum(axis=axis)) for axis in (1, 0))
    score = 0.0
    for rows in (slice(0, top), slice(top, None)):
        for cols in (slice(0, left), slice(left, None)):
            quadrant = target[rows, cols]
            if quadrant.size:  # the centroid may lie in the last row or column
                score += quadrant.size * _similarity(prob[rows, cols], quadrant)
    return score / target.size


def _split(counts: NDArray[np.int64]) -> int:
    """Rows (columns) up to and with the rounded centroid, from the lesion px in each of them.

    Halves round to the even index, as in the common Python ports; the toolbox rounds them up.
    """
    centroid = counts @ np.arange(counts.size) / counts.sum()
    return int(np.round(centroid)) + 1


def _similarity(prob: NDArray[np.float64], target: NDArray[np.bool_]) -> float:
    """4 x y cov(x, y) / ((x^2 + y^2)(var(x) + var(y))) of the means x, y: SSIM without constants.

    1 where numerator and denominator are both 0 (two constant quadrants), 0 where only the
    numerator is. Variances and covariance have N - 1 + eps in the denominator.
    """
    prob_mean, prob_centred = _centre(prob)
    target_mean, target_centred = _centre(target.astype(np.float64))
    degrees = prob.size - 1 + _EPS
    covariance = float((prob_centred * target_centred).sum()) / degrees
    variances = float((prob_centred**2).sum() + (target_centred**2).sum()) / degrees
    numerator = 4 * prob_mean * target_mean * covariance
    denominator = (prob_mean**2 + target_mean**2) * variances
    if numerator != 0:
        return numerator / (denominator + _EPS)
    return 1.0 if denominator == 0 else 0.0


def _centre(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Mean and deviations; those of a constant map are exactly 0.

    The mean of many equal floats may miss them by one rounding, and _similarity would jump from 1
    to 0 over a variance of 1e-34. Differences from the first pixel have no such error.
    """
    first = float(values[0, 0])
    shifted = values - first
    offset = float(shifted.mean())
    return first + offset, shifted - offset
