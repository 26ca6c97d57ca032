"""Single slices whose mask lies wrong among many that lie right.

The measure is that of mask_fit: log likelihood of a mask by the share of mask px for every grey
level and smoothed grey level. Here the shares come from all other masks as they are stored, so that
one slice may be compared in eight positions. A slice is suspicious where another position explains
its mask far better.

Limits were set on the 777 slices of ten real patients, the 50 single slices of COVID-SemiSeg and
synthetic patients: none was suspicious as stored, and of those that were mirrored, turned or
transposed one at a time, more than half (mirrored) to nine tenths (transposed) were.
"""

from collections.abc import Sequence

import numpy as np

from preparation.checks.mask_counts import MaskCounts
from preparation.checks.positions import NUM_TURNS, POSITIONS, Position

_PRIOR_PX = 2.0  # as in mask_fit
_LEAST_SLICES = 10  # with a mask, that say what one looks like
_LEAST_PX = 8.0  # of a mask in its thumbnail
_MIN_GAIN = 0.1  # of the entropy of the mask
_MIN_MORE = 30.0  # nats that another position gains
_MAX_RATIO = 0.4  # of the gain as stored to the highest one


def find_lone_misfits(counts: Sequence[MaskCounts]) -> list[tuple[int, Position]]:
    """The slices whose mask lies wrong, with the position that would put it right.

    Args:
        counts: Of scans whose masks lie right as a whole.

    Returns:
        Places among all slices of the scans, in their order.
    """
    px = np.concatenate([item.px for item in counts]).astype(np.float64)
    mask = np.concatenate([item.mask[:, :NUM_TURNS] for item in counts]).astype(np.float64)
    stored = mask[:, 0]
    area = stored.sum(-1)
    if np.count_nonzero(area) <= _LEAST_SLICES:
        return []
    others, others_px = stored.sum(0) - stored, px.sum(0) - px
    base = others.sum(-1, keepdims=True) / others_px.sum(-1, keepdims=True)
    share = (others + _PRIOR_PX * base) / (others_px + _PRIOR_PX)
    set_, clear = np.log(share / base), np.log((1 - share) / (1 - base))
    gained = np.einsum("nkb,nb->nk", mask, set_ - clear) + (px * clear).sum(-1, keepdims=True)
    gained = np.nan_to_num(gained, nan=-np.inf)
    share_set = np.clip(area / px.sum(-1), 1e-6, 1 - 1e-6)
    entropy = share_set * np.log(share_set) + (1 - share_set) * np.log(1 - share_set)
    best = gained.max(1)
    is_wrong = (
        (area >= _LEAST_PX)
        & (gained[:, 0] < _MAX_RATIO * best)
        & (best - gained[:, 0] > _MIN_MORE)
        & (best > -_MIN_GAIN * entropy * px.sum(-1))
    )
    return [(int(i), POSITIONS[gained[i].argmax()]) for i in np.flatnonzero(is_wrong)]
