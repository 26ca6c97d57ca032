"""Weighted F-measure: hand-worked and degenerate cases, and a loop over the pixels as an oracle."""

import math

import numpy as np
import pytest

from metrics import weighted_f

TARGET = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)
WEIGHTS = [math.exp(-(d**2) / 50) for d in range(4)]
TOTAL = WEIGHTS[0] + 2 * sum(WEIGHTS[1:])


def naive_weighted_f(prob: np.ndarray, target: np.ndarray) -> float:
    """The definition px by px; the nearest lesion px must be one."""
    pixels = list(np.ndindex(target.shape))
    lesion = [pixel for pixel in pixels if target[pixel]]
    error = {pixel: abs(float(prob[pixel]) - float(target[pixel])) for pixel in pixels}
    nearest = {pixel: min(lesion, key=lambda other: math.dist(pixel, other)) for pixel in pixels}
    on_lesion = off_lesion = 0.0
    for i, j in pixels:
        if target[i, j]:
            smooth = sum(
                WEIGHTS[abs(m - i)] * WEIGHTS[abs(n - j)] / TOTAL**2 * error[nearest[m, n]]
                for m, n in pixels
                if abs(m - i) < 4 and abs(n - j) < 4
            )
            on_lesion += min(error[i, j], smooth)
        else:
            distance = math.dist((i, j), nearest[i, j])
            off_lesion += error[i, j] * (2 - math.exp(math.log(0.5) / 5 * distance))
    hits = len(lesion) - on_lesion
    found, right = hits / len(lesion), hits / (hits + off_lesion) if hits + off_lesion else 0.0
    return 2 * found * right / (found + right) if found + right else 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(16, 16), (9, 23), (2, 3), (1, 5)])
def test_agrees_with_a_loop_over_the_pixels(shape: tuple[int, int], dtype: type) -> None:
    # A convex lesion in a corner leaves no px with two nearest ones.
    prob = np.random.default_rng(2).random(shape).astype(dtype)
    target = np.zeros(shape, dtype=bool)
    target[: (shape[0] + 1) // 2, : shape[1] // 2] = True
    assert weighted_f(prob, target) == pytest.approx(naive_weighted_f(prob, target), abs=1e-12)


def test_a_false_alarm_five_px_away_weighs_one_and_a_half() -> None:
    # Weight 2 - 0.5^(5 / 5): precision 1 / (1 + 1.5) = 0.4, recall 1, 0.8 / 1.4.
    prob = np.array([[1.0, 0, 0, 0, 0, 1]])
    target = np.array([[True, False, False, False, False, False]])
    assert weighted_f(prob, target) == pytest.approx(0.8 / 1.4, abs=1e-12)


def test_a_false_alarm_weighs_more_the_farther_it_lies() -> None:
    target = np.zeros((1, 40), dtype=bool)
    target[0, :4] = True
    scores = []
    for position in range(4, 40):
        prob = target.astype(np.float64)
        prob[0, position] = 1
        scores.append(weighted_f(prob, target))
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < scores[0]


def test_a_hole_between_hits_costs_less_than_a_missed_border() -> None:
    # 5 x 5 px of lesion with 1 px missed: in the middle its neighbours make up for nearly all of
    # it; the px in the corner is continued by the background beside it.
    target = np.zeros((20, 20), dtype=bool)
    target[5:10, 5:10] = True
    hole, notch = target.astype(np.float64), target.astype(np.float64)
    hole[7, 7], notch[5, 5] = 0, 0
    assert 0.99 < weighted_f(notch, target) < weighted_f(hole, target) < 1


@pytest.mark.parametrize("target", [TARGET, TARGET | True], ids=["lesion", "full"])
def test_perfect_map_scores_one(target: np.ndarray) -> None:
    assert weighted_f(target.astype(np.float32), target) == pytest.approx(1, abs=1e-12)


def test_empty_target_scores_zero_whatever_the_map() -> None:
    for level in (0.0, 0.3, 1.0):
        assert weighted_f(np.full((4, 4), level), TARGET & False) == 0


def test_full_target_of_one_px() -> None:
    # Error 0.75; its own weight in the Gaussian is 1 / TOTAL in each direction. Precision is 1.
    recall = 1 - 0.75 / TOTAL**2
    expected = 2 * recall / (recall + 1)
    score = weighted_f(np.full((1, 1), 0.25), np.ones((1, 1), dtype=bool))
    assert score == pytest.approx(expected, abs=1e-12)


def test_blank_map_scores_zero_away_from_the_border() -> None:
    # Every neighbourhood has error 1. At the border zeros lie beyond, as in the published code.
    target = np.zeros((20, 20), dtype=bool)
    target[8:12, 8:12] = True
    assert weighted_f(np.zeros((20, 20)), target) == pytest.approx(0, abs=1e-12)
    assert weighted_f(np.zeros((4, 4)), TARGET) > 0.1


@pytest.mark.parametrize(
    ("prob", "target"),
    [
        (np.full((4, 4), np.nan), TARGET),
        (np.full((4, 4), -0.5), TARGET),
        (np.zeros((4, 4), dtype=np.uint8), TARGET),
        (np.zeros((4, 4)), TARGET.astype(int)),
        (np.zeros((2, 2)), TARGET),
    ],
)
def test_refuses_wrong_input(prob: np.ndarray, target: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"prob|target"):
        weighted_f(prob, target)
