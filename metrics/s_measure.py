"""Structure measure (S-measure) of a soft map.

Source: D.-P. Fan, M.-M. Cheng, Y. Liu, T. Li, A. Borji, "Structure-measure: a new way to evaluate
foreground maps", ICCV 2017, doi 10.1109/ICCV.2017.487; equation 8 of Hu et al., Pattern Recognition
124 (2022) 108452, which prints (1 - alpha) on the object part: the same number at alpha = 0.5.

A quadrant without lesion scores 1 if the prediction there is exactly constant, and 0 if not,
however faint. A raw sigmoid output can therefore score far less than the same map rounded to 8 bits
per pixel, as toolboxes read it from image files: where two of four quadrants hold no lesion and
background probabilities stay below 0.001, 0.75 instead of 1.00.

Every term follows from the sums of metrics/moments.py, over background and lesion in each quadrant.

Deviation: the map is taken raw, without the toolbox's stretch by minimum and maximum.
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from metrics.checks import check_case
from metrics.moments import CaseMoments, Spread, case_moments

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
    return s_measure_of_moments(prob, case_moments(prob, target), alpha=alpha)


def s_measure_of_moments(
    prob: NDArray[np.floating], moments: CaseMoments, *, alpha: float = 0.5
) -> float:
    """As s_measure, for a case that is checked and summed up already.

    Args:
        prob: (H, W) float32 or float64, probabilities in [0, 1].
        moments: case_moments of it.
        alpha: Weight of the object part in [0, 1].
    """
    if moments.lesion.whole.num_px == 0:
        return 1 - moments.mean()
    if moments.background.whole.num_px == 0:
        return moments.mean()
    score = alpha * _object_part(moments) + (1 - alpha) * _region_part(prob, moments)
    return max(0.0, score)


def _object_part(moments: CaseMoments) -> float:
    """Object scores of the lesion and, on 1 - prob, of the background, weighted by their areas."""
    background, lesion = moments.background.whole, moments.lesion.whole
    score = lesion.num_px * _object_score(lesion)
    score += background.num_px * _object_score(background._replace(mean=1 - background.mean))
    return score / (background.num_px + lesion.num_px)


def _object_score(values: Spread) -> float:
    """2 mean / (mean^2 + 1 + std): near 1 for values that are uniformly near 1.

    The standard deviation has N - 1 in the denominator; that of a single pixel is 0.
    """
    std = sqrt(values.squares / (values.num_px - 1)) if values.num_px > 1 else 0.0
    return 2 * values.mean / (values.mean**2 + 1 + std + _EPS)


def _region_part(prob: NDArray[np.floating], moments: CaseMoments) -> float:
    """Similarities of the four quadrants around the target's centroid, weighted by their areas."""
    score, (top, left) = 0.0, (moments.top, moments.left)
    for row, rows in enumerate((slice(0, top), slice(top, None))):
        for column, columns in enumerate((slice(0, left), slice(left, None))):
            background = moments.background.parts[row][column]
            lesion = moments.lesion.parts[row][column]
            num_px = background.num_px + lesion.num_px
            if background.num_px and lesion.num_px:
                score += num_px * _similarity(background, lesion)
            elif num_px:  # the centroid may lie in the last row or column
                score += num_px * float(_is_constant(prob[rows, columns]))
    return score / prob.size


def _is_constant(prob: NDArray[np.floating]) -> bool:
    """Whether all px are equal; nearly always the first row tells that they are not."""
    first = prob[0, 0]
    return bool((prob[0] == first).all() and (prob == first).all())


def _similarity(background: Spread, lesion: Spread) -> float:
    """4 x y cov(x, y) / ((x^2 + y^2)(var(x) + var(y))) of the means x, y: SSIM without constants.

    Between the prediction x and the target y of a quadrant that has m px of background and n of
    lesion. The target has two values, so the sums of squares about the means of the quadrant are
    m n / (m + n) for y, that times the difference d of the two groups' means for x y, and that
    times d^2, plus the sums of squares in both groups, for x. Variances and covariance have
    N - 1 + eps in the denominator.
    """
    num_px = background.num_px + lesion.num_px
    between = background.num_px * lesion.num_px / num_px
    contrast = lesion.mean - background.mean
    prob_mean = (background.num_px * background.mean + lesion.num_px * lesion.mean) / num_px
    target_mean = lesion.num_px / num_px
    degrees = num_px - 1 + _EPS
    covariance = between * contrast / degrees
    variances = (background.squares + lesion.squares + between * (1 + contrast**2)) / degrees
    denominator = (prob_mean**2 + target_mean**2) * variances
    return 4 * prob_mean * target_mean * covariance / (denominator + _EPS)
