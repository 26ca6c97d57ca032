"""Mean absolute error of the soft map.

Source: equation 12 of Hu et al., Pattern Recognition 124 (2022) 108452.

Deviation: the toolboxes for salient objects stretch the map to [0, 1] by its minimum and maximum
first, which turns the faint noise on a healthy slice into a full alarm. Here the map is taken raw.
"""

import numpy as np
from numpy.typing import NDArray

from metrics.checks import check_case


def mae(prob: NDArray[np.floating], target: NDArray[np.bool_]) -> float:
    """Mean absolute error, sum |P - G| / (W H) (eq. 12).

    Args:
        prob: (H, W) float32 or float64, probabilities in [0, 1].
        target: (H, W) bool, True on the lesion.

    Returns:
        In [0, 1]; 0 is perfect.

    Raises:
        ValueError: Shapes that differ, another dtype, NaN, or values outside [0, 1].
    """
    check_case(prob, target)
    error = prob.astype(np.float64)
    error[target] = 1 - error[target]
    return float(error.mean())
