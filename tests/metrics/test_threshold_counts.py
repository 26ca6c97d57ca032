"""Counts at 256 thresholds and the curves made of them, under both conventions for 0 / 0."""

import math

import numpy as np
import pytest

from metrics import (
    Confusion,
    dice,
    inf_net_curves,
    overlap_curves,
    precision,
    sensitivity,
    specificity,
    threshold_counts,
)

SCORES = {"dice": dice, "sensitivity": sensitivity}
SCORES |= {"specificity": specificity, "precision": precision}
TARGET = np.array([[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=bool)
EMPTY = TARGET & False


def naive_counts(prob: np.ndarray, target: np.ndarray) -> np.ndarray:
    """One comparison per threshold, with k / 255 in the dtype of the map."""
    marked = [prob >= prob.dtype.type(k / 255) for k in range(256)]
    return np.array([[(m & side).sum() for m in marked] for side in (~target, target)])


def random_case(shape: tuple[int, int], dtype: type) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    return rng.random(shape).astype(dtype), rng.random(shape) < 0.3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 7), (7, 1), (33, 50)])
def test_counts_are_those_of_256_comparisons(shape: tuple[int, int], dtype: type) -> None:
    prob, target = random_case(shape, dtype)
    for mask in (target, target & False, target | True):
        counts = threshold_counts(prob, mask)
        assert counts.dtype == np.int64
        np.testing.assert_array_equal(counts, naive_counts(prob, mask))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_level_and_the_floats_beside_it_are_compared_exactly(dtype: type) -> None:
    levels = (np.arange(256) / 255).astype(dtype)
    below, above = (np.nextafter(levels, dtype(end)) for end in (0, 1))
    prob = np.stack([below, levels, above])
    target = np.broadcast_to(np.arange(256) % 3 == 0, prob.shape).copy()
    np.testing.assert_array_equal(threshold_counts(prob, target), naive_counts(prob, target))


def test_threshold_zero_marks_background_and_lesion() -> None:
    assert threshold_counts(np.zeros((3, 5)), TARGET)[:, 0].tolist() == [11, 4]


def test_layout_in_memory_does_not_matter() -> None:
    prob, target = random_case((12, 19), np.float32)
    expected = naive_counts(prob, target)
    prob.flags.writeable = target.flags.writeable = False
    for p, t in (
        (np.asfortranarray(prob), target),
        (prob, np.asfortranarray(target)),
        (prob[::-1, ::-1], target[::-1, ::-1]),
        (np.repeat(prob, 2, axis=1)[:, ::2], np.repeat(target, 2, axis=0)[::2]),
    ):
        np.testing.assert_array_equal(threshold_counts(p, t), expected)


def test_more_px_than_float32_can_count() -> None:
    prob = np.zeros((2**24 + 1, 1), dtype=np.float32)  # one column, so that no copy shares the load
    target = np.zeros(prob.shape, dtype=bool)
    assert threshold_counts(prob, target)[:, 0].tolist() == [2**24 + 1, 0]


@pytest.mark.parametrize(
    ("prob", "target"),
    [
        (np.full((3, 5), np.nan), TARGET),
        (np.full((3, 5), 1.01), TARGET),
        (np.zeros((3, 5), dtype=np.uint8), TARGET),
        (np.zeros((3, 5)), TARGET.astype(int)),
        (np.zeros((2, 2)), TARGET),
    ],
)
def test_refuses_wrong_input(prob: np.ndarray, target: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"prob|target"):
        threshold_counts(prob, target)


def test_hand_worked_curves() -> None:
    # Lesion px 1, 1, 0.6, 0; background one px of 0.8, 10 of 0. 153 = 0.6 * 255, 204 = 0.8 * 255.
    prob = np.zeros((3, 5))
    prob[0, :2], prob[1, 0], prob[2, 4] = 1, 0.6, 0.8
    curves = overlap_curves(threshold_counts(prob, TARGET), empty_target="nan")
    runs = {  # at threshold 0, up to 153, up to 204, up to 255
        "dice": (2 * 4 / (15 + 4), 2 * 3 / (4 + 4), 2 * 2 / (3 + 4), 2 * 2 / (2 + 4)),
        "sensitivity": (1, 3 / 4, 2 / 4, 2 / 4),
        "specificity": (0, 10 / 11, 10 / 11, 1),
        "precision": (4 / 15, 3 / 4, 2 / 3, 1),
    }
    for name, values in runs.items():
        expected = np.repeat(values, [1, 153, 51, 51])
        np.testing.assert_allclose(getattr(curves, name), expected, rtol=0, atol=1e-12)
    for ours, theirs in zip(inf_net_curves(threshold_counts(prob, TARGET)), curves, strict=True):
        np.testing.assert_array_equal(ours, theirs)  # every threshold has a hit


def blunt(prob: np.ndarray) -> np.ndarray:
    """Highest probability 0.7, so that nothing is marked at the highest thresholds."""
    return 0.7 * prob


@pytest.mark.parametrize("policy", ["one", "zero", "nan"])
@pytest.mark.parametrize("side", ["mixed", "empty", "full"])
def test_house_curves_are_the_scores_of_each_threshold(policy: str, side: str) -> None:
    prob, target = random_case((6, 7), np.float64)
    target = {"mixed": target, "empty": target & False, "full": target | True}[side]
    counts = threshold_counts(blunt(prob), target)
    curves = overlap_curves(counts, empty_target=policy)
    num_background, num_target = counts[:, 0].tolist()
    for k, (off, on) in enumerate(counts.T.tolist()):
        at_k = Confusion(on, off, num_target - on, num_background - off)
        for name, score in SCORES.items():
            expected = score(at_k, empty_target=policy)
            found = getattr(curves, name)[k]
            assert found == pytest.approx(expected, abs=1e-12, nan_ok=True), (name, k)


@pytest.mark.parametrize("side", ["mixed", "empty", "full"])
def test_inf_net_curves_are_zero_without_a_hit_and_plain_ratios_with_one(side: str) -> None:
    prob, target = random_case((6, 7), np.float64)
    target = {"mixed": target, "empty": target & False, "full": target | True}[side]
    counts = threshold_counts(blunt(prob), target)
    curves, plain = inf_net_curves(counts), overlap_curves(counts, empty_target="zero")
    has_hit = counts[1] > 0
    assert has_hit.any() == (side != "empty")
    assert not has_hit.all()
    for ours, expected in zip(curves, plain, strict=True):
        assert not ours[~has_hit].any()
        np.testing.assert_array_equal(ours[has_hit], expected[has_hit])


def test_the_two_conventions_differ_on_a_healthy_case_with_a_blank_map() -> None:
    counts = threshold_counts(np.zeros(EMPTY.shape), EMPTY)
    house, toolbox = overlap_curves(counts, empty_target="one"), inf_net_curves(counts)
    assert house.dice.mean() == house.sensitivity.mean() == house.precision.mean() == 255 / 256
    assert house.specificity.mean() == 255 / 256  # threshold 0 marks everything
    assert [curve.mean() for curve in toolbox] == [0] * 5


def test_the_f_measure_weighs_precision_more() -> None:
    """Of 2 px of lesion one is hit by 4 predicted ones: P = 1/4, R = 1/2."""
    prob, target = np.zeros((3, 4)), np.zeros((3, 4), dtype=bool)
    target[0, :2] = True
    prob[0, 1:4] = prob[1, 0] = 0.5
    curves = overlap_curves(threshold_counts(prob, target), empty_target="one")
    wanted = 1.3 * 0.25 * 0.5 / (0.3 * 0.25 + 0.5)
    assert curves.f_measure[100] == pytest.approx(wanted)
    assert curves.f_measure[200] == 0
    assert wanted < curves.dice[100] == pytest.approx(1 / 3)


def test_policy_nan_is_nan_only_where_nothing_is_marked() -> None:
    counts = threshold_counts(np.full(EMPTY.shape, 0.5), EMPTY)
    curve = overlap_curves(counts, empty_target="nan").dice
    assert curve[:128].tolist() == [0] * 128  # 127 / 255 < 0.5
    assert all(math.isnan(value) for value in curve[128:])


def test_an_unknown_policy_is_refused() -> None:
    counts = threshold_counts(np.zeros((3, 5)), TARGET)
    with pytest.raises(ValueError, match=r"empty_target.*'nans'"):
        overlap_curves(counts, empty_target="nans")
