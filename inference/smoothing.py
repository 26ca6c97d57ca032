"""Probabilities averaged between the slices of a scan, as a lesion goes through several of them."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat

import numpy as np

from inference.slices import PredictedSlice

# Standard deviation, mm; what it gives on real CT stands in resources/weights.md. 3 mm are as good.
SMOOTHING_MM = 2.0
_REACH = 2  # standard deviations


def smooth_between(
    slices: Iterable[PredictedSlice], deviation: float, spacing: float
) -> Iterator[PredictedSlice]:
    """The slices with each probability averaged over its neighbours, in a Gaussian's weights.

    It reaches two standard deviations; at the ends what there is has all the weight. Lungs stay.

    Args:
        slices: Next to each other, in their order.
        deviation: Standard deviation, mm; 0 leaves the probabilities as they are.
        spacing: Distance of two slices, mm.
    """
    reach = math.floor(_REACH * deviation / spacing)
    if not reach:
        yield from slices
        return
    weights = np.exp(-0.5 * (np.arange(reach + 1) * spacing / deviation) ** 2).tolist()
    near: deque[PredictedSlice] = deque()  # the one that is due, with its neighbours
    place = 0  # of it
    for number, item in enumerate(chain(slices, repeat(None, reach)), 1):
        if item is not None:
            near.append(item)
        if number > reach:
            yield near[place]._replace(prob=_average(near, place, weights))
            if place == reach:
                near.popleft()
            else:
                place += 1


def _average(near: Sequence[PredictedSlice], place: int, weights: Sequence[float]) -> np.ndarray:
    """The probabilities (K, H, W) of a slice and of those within reach, weighted by distance."""
    mean, whole = weights[0] * near[place].prob, weights[0]
    for distance, weight in enumerate(weights[1:], 1):
        for other in (place - distance, place + distance):
            if 0 <= other < len(near):
                mean += weight * near[other].prob
                whole += weight
    mean /= whole
    return mean
