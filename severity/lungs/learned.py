"""Lungs found by threshold, put right where a network that has learnt lungs says otherwise.

The threshold is exact at the border of what holds air, and blind in dense disease; a network at a
coarse resolution is the other way round. So it decides about thick pieces alone: those that it has
for lung are added, those that it has not, such as gut or a wide airway, are taken out.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import disk

from severity.lungs.lungs import FoundLungs
from severity.lungs.sides import LEFT, RIGHT, without_sliver

# Radius of the smallest piece that counts, and the probability from which, or below which: the best
# of a few for four scans of COVID-19 patients (Coronacases).
_ADDED_MM, _ADDED_PROB = 7.0, 0.8
_REMOVED_MM, _REMOVED_PROB = 3.0, 0.4
# A part that is smaller, as a share of the largest, is a stray spot.
_LEAST_SHARE = 0.05
# What the network has for lung, as a share of what the threshold has: disease takes half at worst.
_LIKELY = (0.6, 2.5)


class LearnedLungs(FoundLungs):
    """Lungs found by threshold and by a network."""

    origin = "Lungs were found by the network and in the scan; check their outlines."


def learned_lungs(found: FoundLungs, prob: NDArray[np.float32]) -> FoundLungs:
    """The lungs by threshold, put right by a network.

    Args:
        found: The lungs of a scan by threshold.
        prob: (z, h, w) probability of lung, the mean of each block of found.grid.

    Returns:
        LearnedLungs; `found` where what the network has for lung is out of all proportion to it.
    """
    lung = found.coarse.labels > 0
    share = np.count_nonzero(prob >= 0.5) / np.count_nonzero(lung)
    if not _LIKELY[0] <= share <= _LIKELY[1]:
        return found
    added = _thick(~lung & (prob >= _ADDED_PROB), found.grid.pixels(_ADDED_MM))
    removed = _thick(lung & (prob < _REMOVED_PROB), found.grid.pixels(_REMOVED_MM))
    parts, num_parts = ndimage.label(added | lung & ~removed)
    sizes = np.bincount(parts.ravel(), minlength=num_parts + 1)
    sizes[0] = 0
    inside = (sizes >= max(_LEAST_SHARE * sizes.max(), 1))[parts]
    sides = np.where(found.coarse.right, np.uint8(RIGHT), np.uint8(LEFT))
    labels = without_sliver(np.where(inside, sides, np.uint8(0)))
    return LearnedLungs(found.coarse._replace(labels=labels), found.grid)


def _thick(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """What a disc of that radius in px fits into, slice by slice, in place."""
    disc = disk(radius)
    for plane in mask:
        plane[:] = cv2.morphologyEx(plane.astype(np.uint8), cv2.MORPH_OPEN, disc) > 0
    return mask
