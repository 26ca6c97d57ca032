"""All soft scores at once are those of the functions of their names."""

import numpy as np
import pytest

from metrics import (
    e_measure_adaptive,
    e_measure_max,
    e_measure_mean,
    mae,
    s_measure,
    score_soft,
    threshold_counts,
)

SCORES = {
    "mae": mae,
    "e_measure_adaptive": e_measure_adaptive,
    "e_measure_mean": e_measure_mean,
    "e_measure_max": e_measure_max,
    "s_measure": s_measure,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lesion", [0, 0.1, 0.9, 1])
@pytest.mark.parametrize("shape", [(1, 2), (5, 1), (2, 3), (31, 18)])
def test_agrees_with_each_score_by_itself(shape: tuple, lesion: float, dtype: type) -> None:
    rng = np.random.default_rng(4)
    prob, target = rng.random(shape).astype(dtype), rng.random(shape) < lesion
    scores = score_soft(prob, target)
    for name, score in SCORES.items():
        assert getattr(scores, name) == pytest.approx(score(prob, target), abs=1e-12), name
        assert type(getattr(scores, name)) is float
    np.testing.assert_array_equal(scores.threshold_counts, threshold_counts(prob, target))


@pytest.mark.parametrize("lesion", [0, 0.2, 1])
def test_perfect_map_has_no_error_at_all(lesion: float) -> None:
    target = np.random.default_rng(6).random((30, 41)) < lesion
    scores = score_soft(target.astype(np.float32), target)
    assert scores.mae == 0.0
    assert scores.s_measure == pytest.approx(1, abs=1e-12)


def test_the_arrays_are_left_as_they_were() -> None:
    prob = np.random.default_rng(8).random((9, 9))
    target = prob > 0.7
    before, mask = prob.copy(), target.copy()
    score_soft(prob, target)
    np.testing.assert_array_equal(prob, before)
    np.testing.assert_array_equal(target, mask)


@pytest.mark.parametrize(
    ("prob", "message"),
    [
        (np.full((4, 4), np.nan), "16 NaN of 16 px"),
        (np.full((4, 4), 2.0), "sigmoid"),
        (np.zeros((4, 5)), "resize"),
    ],
)
def test_refuses_wrong_input(prob: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_soft(prob, np.zeros((4, 4), dtype=bool))


def test_single_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 px"):
        score_soft(np.zeros((1, 1)), np.zeros((1, 1), dtype=bool))
