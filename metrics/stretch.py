"""The stretch of a map by its minimum and maximum, and what an image file keeps of a map.

Source: the MATLAB evaluation of Inf-Net (D.-P. Fan et al., IEEE TMI 39, 2020, doi
10.1109/TMI.2020.2996645) and the toolboxes for salient objects before it. Only the infnet protocol
stretches: the faintest noise on a healthy slice has a pixel of probability 1 afterwards.
"""

import numpy as np
from numpy.typing import NDArray


def stretch(prob: NDArray[np.floating]) -> NDArray[np.float64]:
    """(prob - min) / (max - min); a constant map stays as it is.

    Args:
        prob: (H, W), probabilities in [0, 1].

    Returns:
        (H, W) float64 in [0, 1]; 0 and 1 occur unless the map is constant.
    """
    prob = prob.astype(np.float64)
    low, high = prob.min(), prob.max()
    return prob if low == high else (prob - low) / (high - low)


def as_saved(prob: NDArray[np.floating]) -> NDArray[np.float64]:
    """The map rounded to the 256 grey levels of an image file, halves up.

    Args:
        prob: (H, W), probabilities in [0, 1].

    Returns:
        (H, W) float64, multiples of 1 / 255.
    """
    return np.floor(255 * prob.astype(np.float64) + 0.5) / 255
