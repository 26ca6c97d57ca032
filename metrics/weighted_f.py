"""Weighted F-measure of a soft map.

Source: R. Margolin, L. Zelnik-Manor, A. Tal, "How to evaluate foreground maps?", CVPR 2014,
doi 10.1109/CVPR.2014.39, and its published MATLAB code; beta^2 = 1.

Two corrections of the plain error |P - G| come before precision and recall. An error on the lesion
counts less where its neighbours err less, since they make up for it; an error off the lesion counts
the more, up to twice, the farther from the lesion it lies.

Deviation: the map is taken raw, without the toolbox's stretch by minimum and maximum.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from metrics.checks import check_case

_EPS = float(np.finfo(np.float64).eps)
_FILTER_PX, _FILTER_SIGMA = 7, 5.0  # of the neighbourhood, as in the paper's code
_HALF_DISTANCE = 5.0  # px off the lesion at which half of the additional weight is reached


def weighted_f(prob: NDArray[np.floating], target: NDArray[np.bool_]) -> float:
    """Weighted F-measure, 2 P R / (P + R) of weighted precision P and recall R.

    An empty target scores 0, whatever the map: there is no lesion to weight by. Where several
    lesion px are equally near to a px off the lesion, the one that scipy's transform names counts.

    Args:
        prob: (H, W) float32 or float64, probabilities in [0, 1].
        target: (H, W) bool, True on the lesion.

    Returns:
        In [0, 1]; 1 is perfect.

    Raises:
        ValueError: Shapes that differ, another dtype, NaN, or values outside [0, 1].
    """
    check_case(prob, target)
    num_target = np.count_nonzero(target)
    if num_target == 0:
        return 0.0
    error = prob.astype(np.float64)
    error[target] = 1 - error[target]
    distance, nearest = ndimage.distance_transform_edt(~target, return_indices=True)
    neighbourhood = _smooth(error[tuple(nearest)])
    on_lesion = np.minimum(error, neighbourhood)[target].sum()
    weight = 2 - np.exp2(-distance / _HALF_DISTANCE)
    off_lesion = (error * weight)[~target].sum()
    hits = num_target - on_lesion
    recall = hits / num_target
    precision = hits / (hits + off_lesion + _EPS)
    return float(2 * precision * recall / (precision + recall + _EPS))


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian mean over 7 x 7 px; beyond the border lie zeros."""
    kernel = cv2.getGaussianKernel(_FILTER_PX, _FILTER_SIGMA, cv2.CV_64F)
    return cv2.sepFilter2D(values, cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
