"""Probabilities averaged between the slices of a scan, as a lesion goes through several of them."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from inference.slices import PredictedSlice

# Standard deviation, mm; what it gives on real CT stands in resources/weights.md.
SMOOTHING_MM = 3.0
_REACH = 2  # standard deviations
_STEP_MM = 2.5  # between slices that are predicted, and at most a standard deviation


def step_between(deviation: float, spacing: float) -> int:
    """Every how manieth slice is predicted: the average tells those between thin ones.

    Args:
        deviation: Standard deviation of the average, mm; without one every slice is predicted.
        spacing: Distance of two slices, mm.
    """
    return max(1, math.floor(min(_STEP_MM, deviation) / spacing))


def reach_between(deviation: float, spacing: float) -> int:
    """To how many slices on either side the average reaches; arguments as of step_between."""
    return math.floor(_REACH * deviation / spacing)


def smooth_between(
    slices: Iterable[PredictedSlice], num: int, step: int, deviation: float, spacing: float
) -> Iterator[PredictedSlice]:
    """Every slice of a scan, its probability averaged over its neighbours in a Gaussian's weights.

    It reaches two standard deviations; at the ends what there is has all the weight. Grey levels
    and lungs are those of the next slice that was predicted.

    Args:
        slices: Every step-th one, in their order, numbered from 0 on.
        num: Of all slices.
        step: As step_between gives it.
        deviation: Standard deviation, mm; 0 leaves the probabilities as they are.
        spacing: Distance of two slices, mm.
    """
    reach = reach_between(deviation, spacing)
    if not reach:
        yield from slices
        return
    weights = np.exp(-0.5 * (np.arange(reach + 1) * spacing / deviation) ** 2).tolist()
    due = ((item.index * step, item) for item in slices)
    near: deque[tuple[int, PredictedSlice]] = deque()  # within reach, by their places
    for place in range(num):
        while not near or near[-1][0] + step <= min(place + reach, num - 1):
            near.append(next(due))
        while near[0][0] < place - reach:
            near.popleft()
        ordered = sorted(near, key=lambda pair: abs(pair[0] - place))
        shares = [weights[abs(where - place)] for where, _ in ordered]
        prob = _average([item.prob for _, item in ordered], shares)
        yield ordered[0][1]._replace(index=place, prob=prob)


def _average(probs: Sequence[np.ndarray], shares: Sequence[float]) -> NDArray[np.float32]:
    """The weighted mean of probabilities (K, H, W)."""
    mean = shares[0] * probs[0]
    for prob, share in zip(probs[1:], shares[1:], strict=True):
        mean += share * prob
    mean /= sum(shares)
    return mean
