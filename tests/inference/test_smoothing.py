from collections.abc import Iterator

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from inference.slices import PredictedSlice
from inference.smoothing import smooth_between, step_between


def slices(probs: np.ndarray) -> Iterator[PredictedSlice]:
    for index, prob in enumerate(probs):
        yield PredictedSlice(index, np.full(prob.shape[1:], index, np.uint8), prob, prob[0])


@pytest.mark.parametrize("number", [0, 1, 2, 5, 8, 9, 30])
@pytest.mark.parametrize(("deviation", "spacing"), [(2.0, 1.0), (2.0, 0.7), (1.5, 2.0)])
def test_probabilities_are_the_gaussian_mean_of_what_is_there(
    number: int, deviation: float, spacing: float
) -> None:
    probs = np.random.default_rng(0).random((number, 2, 5, 4), np.float32)
    found = list(smooth_between(slices(probs), number, 1, deviation, spacing))
    assert [item.index for item in found] == list(range(number))
    if not number:
        return
    # The sum of the weights that lie within the scan, in the same filter of a scan of ones.
    options = {"sigma": deviation / spacing, "axis": 0, "mode": "constant"}
    radius = int(2 * deviation / spacing)
    wanted, weights = (
        gaussian_filter1d(values.astype(np.float64), radius=radius, **options)
        for values in (probs, np.ones_like(probs))
    )
    np.testing.assert_allclose(np.stack([f.prob for f in found]), wanted / weights, atol=1e-6)
    assert all(item.prob.dtype == np.float32 for item in found)
    for item, prob in zip(found, probs, strict=True):
        np.testing.assert_array_equal(item.lung, prob[0])
        assert item.gray.max() == item.index


@pytest.mark.parametrize(("deviation", "spacing"), [(0.0, 1.0), (2.0, 5.0)])
def test_without_a_deviation_or_between_thick_slices_nothing_changes(
    deviation: float, spacing: float
) -> None:
    probs = np.random.default_rng(0).random((4, 1, 3, 3), np.float32)
    found = smooth_between(slices(probs), 4, 1, deviation, spacing)
    for item, prob in zip(found, probs, strict=True):
        np.testing.assert_array_equal(item.prob, prob)


def test_no_more_slices_are_held_than_the_reach() -> None:
    taken = []

    def counted() -> Iterator[PredictedSlice]:
        for item in slices(np.zeros((40, 1, 2, 2), np.float32)):
            taken.append(item.index)
            yield item

    for item in smooth_between(counted(), 40, 1, 2.0, 1.0):
        assert len(taken) <= item.index + 1 + 4


@pytest.mark.parametrize("number", [1, 2, 3, 7, 8, 9, 31])
@pytest.mark.parametrize(
    ("deviation", "spacing", "step"), [(3.0, 1.25, 2), (3.0, 0.8, 3), (2.0, 1.0, 2)]
)
def test_slices_between_those_that_were_predicted_get_their_gaussian_mean(
    number: int, deviation: float, spacing: float, step: int
) -> None:
    assert step_between(deviation, spacing) == step
    probs = np.random.default_rng(0).random((number, 1, 5, 4), np.float32)
    found = list(smooth_between(slices(probs[::step]), number, step, deviation, spacing))
    assert [item.index for item in found] == list(range(number))
    places = np.arange(0, number, step)
    for item in found:
        weights = np.exp(-0.5 * ((places - item.index) * spacing / deviation) ** 2)
        weights *= np.abs(places - item.index) * spacing <= 2 * deviation
        wanted = np.tensordot(weights / weights.sum(), probs[::step], 1)
        np.testing.assert_allclose(item.prob, wanted, atol=1e-6)
        nearest = probs[places[np.abs(places - item.index).argmin()]]
        np.testing.assert_array_equal(item.lung, nearest[0])


@pytest.mark.parametrize(
    ("deviation", "spacing", "step"),
    [(0.0, 1.0, 1), (3.0, 5.0, 1), (3.0, 2.0, 1), (3.0, 1.25, 2), (2.0, 1.25, 1), (9.0, 0.6, 4)],
)
def test_thin_slices_alone_are_left_out(deviation: float, spacing: float, step: int) -> None:
    assert step_between(deviation, spacing) == step
    assert (step - 1) * spacing <= 2 * deviation
