"""All scores of a soft map in one go: one check of the case, one histogram."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metrics.checks import check_case
from metrics.e_measure import adaptive_counts, e_measure_of_counts
from metrics.moments import case_moments
from metrics.s_measure import s_measure_of_moments
from metrics.threshold_counts import unchecked_threshold_counts


class SoftScores(NamedTuple):
    """Scores of the probabilities of one case.

    Attributes:
        mae: Mean absolute error.
        e_measure_adaptive: E-measure at twice the mean probability.
        e_measure_mean: Mean of the E-measure over 256 thresholds.
        e_measure_max: Maximum of the E-measure over them.
        s_measure: Structure measure.
        threshold_counts: (2, 256) int64, as metrics.threshold_counts.threshold_counts.
    """

    mae: float
    e_measure_adaptive: float
    e_measure_mean: float
    e_measure_max: float
    s_measure: float
    threshold_counts: NDArray[np.int64]


def score_soft(prob: NDArray[np.floating], target: NDArray[np.bool_]) -> SoftScores:
    """Score one case; each value is that of the function of its name.

    Args:
        prob: (H, W) float32 or float64, probabilities in [0, 1].
        target: (H, W) bool, True on the lesion.

    Raises:
        ValueError: Shapes that differ, another dtype, NaN, values outside [0, 1], or one px only.
    """
    check_case(prob, target)
    counts = unchecked_threshold_counts(prob, target)
    moments = case_moments(prob, target)
    predictions = np.hstack([counts, adaptive_counts(prob, target, moments.mean())])
    e_measures = e_measure_of_counts(predictions, counts[:, 0])
    return SoftScores(
        mae=moments.mean_error(),
        e_measure_adaptive=float(e_measures[-1]),
        e_measure_mean=float(e_measures[:-1].mean()),
        e_measure_max=float(e_measures[:-1].max()),
        s_measure=s_measure_of_moments(prob, moments),
        threshold_counts=counts,
    )
