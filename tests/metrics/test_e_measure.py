"""E-measure: hand-worked and degenerate cases, and a loop over the thresholds as an oracle."""

from collections.abc import Callable

import numpy as np
import pytest

from metrics import (
    e_measure_adaptive,
    e_measure_curve,
    e_measure_curve_of_counts,
    e_measure_max,
    e_measure_mean,
    threshold_counts,
)

TARGET = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)
EMPTY = np.zeros((4, 4), dtype=bool)
# Every px has alignment 0 wherever the thresholded map is constant: 16 * (1 + 0)^2 / 4 / 15.
CONSTANT = 4 / 15


def naive_curve(prob: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The definition, one pass over the pixels per threshold."""
    eps = 2.0**-52
    curve = []
    for level in range(256):
        marked = (prob >= prob.dtype.type(level / 255)).astype(float)
        if target.all():
            enhanced = marked
        elif not target.any():
            enhanced = 1 - marked
        else:
            a, c = target - target.mean(), marked - marked.mean()
            enhanced = (2 * a * c / (a * a + c * c + eps) + 1) ** 2 / 4
        curve.append(enhanced.sum() / (target.size - 1 + eps))
    return np.array(curve)


def random_case(kind: str, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """A random map and target; the kind is a size, or what is special about the case."""
    rng = np.random.default_rng(3)
    shape = {"tiny": (2, 3), "row": (1, 7), "tall": (65, 24)}.get(kind, (32, 48))
    prob, target = rng.random(shape), rng.random(shape) < 0.2
    target.flat[0], target.flat[1] = True, False
    if kind == "levels":
        prob = rng.integers(0, 256, shape) / 255
    if kind in ("empty", "full"):
        target[:] = kind == "full"
    return prob.astype(dtype), target


KINDS = ["tiny", "row", "tall", "wide", "levels", "empty", "full"]


def test_hand_worked_case() -> None:
    # Lesion 4 px, marked 4 px, 2 hits; both means 1/4, so a and c are 3/4 or -1/4.
    # Agreeing px: alignment 1, score 1, 2 hits + 10 background px.
    # Disagreeing px: 2 * (3/4)(-1/4) / (9/16 + 1/16) = -0.6, score 0.4^2 / 4 = 0.04, 2 + 2 px.
    # (12 + 4 * 0.04) / 15 = 12.16 / 15 at thresholds 1 .. 255; threshold 0 marks everything.
    pred = np.array([[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=np.float32)
    curve = e_measure_curve(pred, TARGET)
    assert curve.shape == (256,)
    assert curve.dtype == np.float64
    assert curve[0] == pytest.approx(CONSTANT)
    assert curve[1:] == pytest.approx(np.full(255, 12.16 / 15))
    assert e_measure_mean(pred, TARGET) == pytest.approx((CONSTANT + 255 * 12.16 / 15) / 256)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_multiple_of_one_level_reaches_its_own_threshold(dtype: type) -> None:
    # Perfect up to the lesion's level, blank from the next one on.
    for level in range(1, 256):
        prob = (TARGET * (level / 255)).astype(dtype)
        curve = e_measure_curve(prob, TARGET)
        assert curve[1 : level + 1] == pytest.approx(np.full(level, 16 / 15)), level
        assert curve[level + 1 :] == pytest.approx(np.full(255 - level, CONSTANT)), level


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_float_just_below_a_level_does_not_reach_it(dtype: type) -> None:
    for level in range(1, 256):
        below = np.nextafter(dtype(level / 255), dtype(0))
        curve = e_measure_curve(np.where(TARGET, below, dtype(0)), TARGET)
        assert curve[level - 1] == pytest.approx(16 / 15 if level > 1 else CONSTANT), level
        assert curve[level] == pytest.approx(CONSTANT), level


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_256_passes_over_the_pixels(kind: str, dtype: type) -> None:
    prob, target = random_case(kind, dtype)
    expected = naive_curve(prob, target)
    np.testing.assert_allclose(e_measure_curve(prob, target), expected, rtol=0, atol=1e-12)
    assert e_measure_mean(prob, target) == pytest.approx(expected.mean(), abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_curve_of_counts_and_maximum_are_those_of_the_map(kind: str, dtype: type) -> None:
    prob, target = random_case(kind, dtype)
    curve = e_measure_curve(prob, target)
    np.testing.assert_array_equal(
        e_measure_curve_of_counts(threshold_counts(prob, target)), curve, strict=True
    )
    assert e_measure_max(prob, target) == max(curve.tolist())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_adaptive_threshold_is_twice_the_mean(kind: str, dtype: type) -> None:
    prob, target = random_case(kind, dtype)
    prob **= 3  # of mean 1/4; twice the mean of prob itself would be 1
    marked = prob >= np.float64(2 * sum(map(float, prob.flat)) / prob.size)
    expected = naive_curve(marked.astype(dtype), target)[255]
    assert 0 < np.count_nonzero(marked) < marked.size
    assert e_measure_adaptive(prob, target) == pytest.approx(expected, abs=1e-12)


def test_adaptive_threshold_is_compared_in_full_precision() -> None:
    # The mean of 64 px is exactly x / 2 + 2^-31, so the threshold lies 2^-30 above x, which
    # float32 would round down to x: the px of x are not marked.
    x = np.float32(0.25)
    prob = np.array([[x] * 32 + [0] * 31 + [64 * 2.0**-31]], dtype=np.float32)
    target = prob == x
    assert e_measure_adaptive(prob, target) == pytest.approx(16 / 63)  # blank: 64 * 1/4 / 63


def test_adaptive_threshold_never_exceeds_one() -> None:
    prob = np.where(TARGET, 1.0, 0.9)
    assert e_measure_adaptive(prob, TARGET) == pytest.approx(16 / 15)
    assert e_measure_adaptive(np.ones((4, 4)), ~EMPTY) == pytest.approx(16 / 15)


def test_adaptive_threshold_of_a_blank_map_marks_everything() -> None:
    assert e_measure_adaptive(np.zeros((4, 4)), EMPTY) == 0
    assert e_measure_adaptive(np.zeros((4, 4)), TARGET) == pytest.approx(CONSTANT)


def test_perfect_map_scores_n_over_n_minus_1_and_its_mean_stays_below_one() -> None:
    target = np.zeros((256, 256), dtype=bool)
    target[40:90, 60:140] = True
    num_px = 256 * 256
    curve = e_measure_curve(target.astype(np.float32), target)
    assert curve[0] == pytest.approx(0.25 * num_px / (num_px - 1))
    assert curve[1:] == pytest.approx(np.full(255, num_px / (num_px - 1)))
    mean = e_measure_mean(target.astype(np.float32), target)
    assert mean == pytest.approx(255.25 / 256 * num_px / (num_px - 1))
    assert mean < 1


def test_inverted_map_scores_zero_above_threshold_zero() -> None:
    # a and c are opposite where the lesion fills half of the image: alignment -1, score 0.
    target = np.repeat([[True, True, False, False]], 4, axis=0)
    curve = e_measure_curve((~target).astype(np.float64), target)
    assert curve[1:] == pytest.approx(np.zeros(255), abs=1e-12)


@pytest.mark.parametrize("prob", [np.zeros((4, 4)), np.ones((4, 4)), np.full((4, 4), 0.3)])
def test_constant_map_scores_a_quarter(prob: np.ndarray) -> None:
    assert e_measure_curve(prob, TARGET) == pytest.approx(np.full(256, CONSTANT))


def test_empty_target_counts_the_unmarked_px() -> None:
    # Blank map: all 16 px unmarked above threshold 0, none at it.
    blank = e_measure_curve(np.zeros((4, 4)), EMPTY)
    assert blank[0] == 0
    assert blank[1:] == pytest.approx(np.full(255, 16 / 15))
    assert e_measure_mean(np.ones((4, 4)), EMPTY) == 0
    # 4 px at 1: 12 px stay unmarked.
    assert e_measure_curve(TARGET.astype(float), EMPTY)[1:] == pytest.approx(np.full(255, 12 / 15))


def test_full_target_counts_the_marked_px() -> None:
    assert e_measure_mean(np.ones((4, 4)), ~EMPTY) == pytest.approx(16 / 15)
    assert e_measure_mean(np.zeros((4, 4)), ~EMPTY) == pytest.approx(16 / 15 / 256)
    assert e_measure_curve(TARGET.astype(float), ~EMPTY)[1:] == pytest.approx(np.full(255, 4 / 15))


SCORES = [e_measure_curve, e_measure_mean, e_measure_max, e_measure_adaptive]


@pytest.mark.parametrize("score", SCORES)
def test_single_pixel_is_refused(score: Callable) -> None:
    with pytest.raises(ValueError, match="at least 2 px"):
        score(np.zeros((1, 1)), np.zeros((1, 1), dtype=bool))


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("prob", "target"),
    [
        (np.full((4, 4), np.nan), TARGET),
        (np.full((4, 4), 1.01), TARGET),
        (np.zeros((4, 4), dtype=np.int64), TARGET),
        (np.zeros((4, 4)), TARGET.astype(int)),
        (np.zeros((2, 2)), TARGET),
    ],
)
def test_refuses_wrong_input(score: Callable, prob: np.ndarray, target: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"prob|target"):
        score(prob, target)
