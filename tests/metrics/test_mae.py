"""Mean absolute error: hand-worked, degenerate and random cases, and the input checks."""

import numpy as np
import pytest

from metrics import mae

TARGET = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hand_worked_case(dtype: type) -> None:
    # 4 lesion px off by 0.25, 11 background px off by 0.125, one off by 1: 3.375 / 16.
    prob = np.where(TARGET, 0.75, 0.125).astype(dtype)
    prob[3, 3] = 1
    assert mae(prob, TARGET) == pytest.approx(3.375 / 16, abs=1e-12)


@pytest.mark.parametrize("target", [TARGET, TARGET & False, TARGET | True])
def test_perfect_map_scores_zero_and_inverted_map_one(target: np.ndarray) -> None:
    assert mae(target.astype(np.float32), target) == 0.0
    assert mae((~target).astype(np.float32), target) == 1.0


def test_the_map_is_not_stretched() -> None:
    # A stretch by minimum and maximum would turn 0.01 into 1 and the error into 1 / 16.
    prob = np.zeros((4, 4))
    prob[0, 0] = 0.01
    assert mae(prob, TARGET & False) == pytest.approx(0.01 / 16)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (31, 17)])
def test_agrees_with_a_loop_over_the_pixels(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    prob, target = rng.random(shape), rng.random(shape) < 0.3
    errors = [abs(p - float(g)) for p, g in zip(prob.flat, target.flat, strict=True)]
    assert mae(prob, target) == pytest.approx(sum(errors) / len(errors), abs=1e-12)


@pytest.mark.parametrize(
    ("prob", "target", "message"),
    [
        (np.full((4, 4), np.nan), TARGET, "16 NaN of 16 px"),
        (np.full((4, 4), 255.0), TARGET, r"\[0, 1\], got \[255, 255\]"),
        (np.full((4, 4), -0.1), TARGET, r"\[0, 1\]"),
        (np.full((4, 4), np.inf), TARGET, r"\[0, 1\]"),
        (np.zeros((4, 4), dtype=np.uint8), TARGET, "float32 or float64, got uint8"),
        (np.zeros((4, 4), dtype=np.float16), TARGET, "float32 or float64, got float16"),
        (np.zeros((4, 4)), TARGET.astype(np.uint8), "target must be bool, got uint8"),
        (np.zeros((4, 5)), TARGET, r"prob is \(4, 5\), target is \(4, 4\)"),
        (np.zeros((1, 4, 4)), TARGET, r"\(H, W\)"),
        (np.zeros((0, 4)), np.zeros((0, 4), dtype=bool), "non-empty"),
        ([[0.0]], np.zeros((1, 1), dtype=bool), "numpy array, got list"),
    ],
)
def test_refuses_what_it_would_have_to_guess(prob, target, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mae(prob, target)


def test_one_nan_among_many_is_found() -> None:
    prob = np.zeros((4, 4))
    prob[2, 1] = np.nan
    with pytest.raises(ValueError, match="1 NaN of 16 px"):
        mae(prob, TARGET)
