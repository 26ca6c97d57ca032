"""Lungs that a network has marked, on the grid of those that a threshold finds."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from severity.lungs.lungs import FoundLungs
from severity.lungs.sides import LEFT, RIGHT, without_sliver

# A part that is smaller, as a share of the largest, is gut or a stray spot.
_LEAST_SHARE = 0.05
# Of the volume that the threshold finds, without what is dense: disease takes half of it at worst.
_LIKELY = (0.6, 2.5)


class LearnedLungs(FoundLungs):
    """Lungs marked by a network, dense disease with them."""

    origin = "Lungs were found by the network; check their outlines."


def learned_lungs(found: FoundLungs, prob: NDArray[np.float32]) -> FoundLungs:
    """The lungs that a network has marked, told apart by the line between those of the threshold.

    Args:
        found: The lungs of the same scan by threshold.
        prob: (z, h, w) probability of lung, the mean of each block of found.grid.

    Returns:
        LearnedLungs; `found` where their volume is out of all proportion to it.
    """
    parts, num_parts = ndimage.label(prob >= 0.5)
    sizes = np.bincount(parts.ravel(), minlength=num_parts + 1)
    sizes[0] = 0
    inside = (sizes >= max(_LEAST_SHARE * sizes.max(), 1))[parts]
    known = np.count_nonzero(found.coarse.labels)
    if not _LIKELY[0] * known <= np.count_nonzero(inside) <= _LIKELY[1] * known:
        return found
    sides = np.where(found.coarse.right, np.uint8(RIGHT), np.uint8(LEFT))
    labels = without_sliver(np.where(inside, sides, np.uint8(0)))
    return LearnedLungs(found.coarse._replace(labels=labels), found.grid)
