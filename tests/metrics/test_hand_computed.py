"""Every pixel metric of four 4 x 4 maps against one target, worked out by hand."""

from math import exp, sqrt

import numpy as np
import pytest

from metrics import (
    confusion,
    dice,
    e_measure_adaptive,
    e_measure_curve,
    e_measure_max,
    e_measure_mean,
    iou,
    mae,
    precision,
    s_measure,
    score_soft,
    sensitivity,
    specificity,
    weighted_f,
)

# 9 px of lesion, 7 of background; the centroid (1, 1) splits the map into quadrants of 2 x 2 px.
TARGET = np.array([[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]], dtype=bool)
PERFECT = TARGET.astype(np.float64)
BLANK = np.zeros((4, 4))
INVERTED = 1 - PERFECT
MIXED = np.array([[1, 0.5, 0.75, 0], [0.75, 1, 0.25, 0.5], [0.5, 1, 0.75, 0], [0, 0.25, 0, 0]])
MAPS = {"perfect": PERFECT, "blank": BLANK, "inverted": INVERTED, "mixed": MIXED}

# E-measure of a constant map: alignment 0 everywhere, 16 px * (1 + 0)^2 / 4 / (16 - 1).
CONSTANT = 4 / 15


def approx(value: float) -> object:
    return pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "counts", "expected"),
    [
        # TP, FP, FN, TN; then Dice, IoU, sensitivity, specificity, precision.
        ("perfect", (9, 0, 0, 7), (1, 1, 1, 1, 1)),
        ("blank", (0, 0, 9, 7), (0, 0, 0, 1, 0)),
        ("inverted", (0, 7, 9, 0), (0, 0, 0, 0, 0)),
        # Missed: the 0.25 of row 1. False alarm: its 0.5. 2 * 8 / (9 + 9), 8 / (8 + 1 + 1), 8 / 9,
        # 6 / 7, 8 / 9.
        ("mixed", (8, 1, 1, 6), (8 / 9, 8 / 10, 8 / 9, 6 / 7, 8 / 9)),
    ],
)
def test_overlap(name: str, counts: tuple[int, ...], expected: tuple[float, ...]) -> None:
    found = confusion(MAPS[name] >= 0.5, TARGET)
    assert found == counts
    metrics = (dice, iou, sensitivity, specificity, precision)
    assert [f(found, empty_target="nan") for f in metrics] == [approx(x) for x in expected]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("perfect", 0),
        ("blank", 9 / 16),
        ("inverted", 1),
        # Lesion, by rows: 0 + 0.5 + 0.25, 0.25 + 0 + 0.75, 0.5 + 0 + 0.25; background 0.5 + 0.25.
        ("mixed", (2.5 + 0.75) / 16),
    ],
)
def test_mae(name: str, expected: float) -> None:
    assert mae(MAPS[name], TARGET) == approx(expected)
    assert score_soft(MAPS[name], TARGET).mae == approx(expected)


def e_measure_cases() -> dict[str, tuple[list[tuple[int, float]], float]]:
    """Map to runs of (number of thresholds, E-measure there), and the adaptive E-measure.

    In sixteenths the centred target is 7 on the lesion and -9 off it; with n px marked, the centred
    prediction is 16 - n where marked and -n elsewhere. Alignment 2 a c / (a^2 + c^2).
    """
    # Marked >= 0.25: 9 hits, 2 false alarms, n = 11: 5 or -11.
    # Hits 2*7*5 / (49 + 25), false alarms -2*9*5 / (81 + 25), 5 px of background
    # 2*9*11 / (81 + 121).
    quarter = (9 * (1 + 70 / 74) ** 2 + 2 * (1 - 90 / 106) ** 2 + 5 * (1 + 198 / 202) ** 2) / 60
    # Marked >= 0.5: 8 hits, 1 false alarm, n = 9: 7 or -9, as the target. 14 px agree and score 1,
    # one false alarm and one miss have -2*7*9 / (49 + 81).
    half = (14 + 2 * (1 - 126 / 130) ** 2 / 4) / 15
    # Marked >= 0.75: 6 hits, n = 6: 10 or -6. Hits 2*7*10 / (49 + 100), 3 misses
    # -2*7*6 / (49 + 36), 7 px of background 2*9*6 / (81 + 36).
    more = (6 * (1 + 140 / 149) ** 2 + 3 * (1 - 84 / 85) ** 2 + 7 * (1 + 108 / 117) ** 2) / 60
    # Marked >= 1: 3 hits, n = 3: 13 or -3. Hits 2*7*13 / (49 + 169), 6 misses -2*7*3 / (49 + 9),
    # background 2*9*3 / (81 + 9).
    most = (3 * (1 + 182 / 218) ** 2 + 6 * (1 - 42 / 58) ** 2 + 7 * (1 + 54 / 90) ** 2) / 60
    return {
        # Threshold 0 marks everything, the others the lesion: 16 px with alignment 1.
        # Adaptive: min(2 * 9 / 16, 1) = 1.
        "perfect": ([(1, CONSTANT), (255, 16 / 15)], 16 / 15),
        # Nothing is marked above threshold 0, and the adaptive threshold is 0.
        "blank": ([(256, CONSTANT)], CONSTANT),
        # n = 7: 7 against -7 on the lesion, -9 against 9 off it: alignment -1 everywhere.
        # Adaptive: 2 * 7 / 16, the same px.
        "inverted": ([(1, CONSTANT), (255, 0)], 0),
        # 255 / 4, 255 / 2 and 255 * 3 / 4 are 63.75, 127.5 and 191.25: steps after thresholds
        # 63, 127 and 191. Adaptive: 2 * 7.25 / 16 = 0.90625, which only the 1 reach.
        "mixed": ([(1, CONSTANT), (63, quarter), (64, half), (64, more), (64, most)], most),
    }


@pytest.mark.parametrize("name", MAPS)
def test_e_measure(name: str) -> None:
    runs, adaptive = e_measure_cases()[name]
    curve = [score for num, score in runs for _ in range(num)]
    mean, best = sum(curve) / 256, max(curve)
    prob, scores = MAPS[name], score_soft(MAPS[name], TARGET)
    assert e_measure_curve(prob, TARGET) == pytest.approx(np.array(curve), abs=1e-12)
    assert e_measure_mean(prob, TARGET) == scores.e_measure_mean == approx(mean)
    assert e_measure_max(prob, TARGET) == scores.e_measure_max == approx(best)
    assert e_measure_adaptive(prob, TARGET) == scores.e_measure_adaptive == approx(adaptive)


def s_measure_cases() -> dict[str, tuple[float, float]]:
    """Map to object part and region part."""
    # Lesion: sum 6.5, squares 5.25, about the mean 5.25 - 6.5^2 / 9 = 5 / 9, variance 5 / 72.
    # Background of 1 - prob: sum 7 - 0.75, squares about the mean 0.3125 - 0.75^2 / 7, over 6.
    lesion, background = 6.5 / 9, 1 - 0.75 / 7
    background_std = sqrt((0.3125 - 0.5625 / 7) / 6)
    mixed_object = 9 / 16 * 2 * lesion / (lesion**2 + 1 + sqrt(5 / 72))
    mixed_object += 7 / 16 * 2 * background / (background**2 + 1 + background_std)
    # Quadrants, x and y the means, sums of squares about them (their common 1 / 3 cancels):
    #   upper left: target constant, map not: 0
    #   upper right, 0.75 0 / 0.25 0.5: x 0.375, y 0.5; x y 1 - 0.75, x x 0.875 - 0.5625, y y 1
    #   lower left, 0.5 1 / 0 0.25: x 0.4375, y 0.5; x y 1.5 - 0.875, x x 1.3125 - 0.765625, y y 1
    #   lower right, 0.75 of the target: x 0.1875, y 0.25; x y 0.5625, x x 0.421875, y y 0.75
    upper_right = 4 * 0.375 * 0.5 * 0.25 / ((0.375**2 + 0.25) * 1.3125)
    lower_left = 4 * 0.4375 * 0.5 * 0.625 / ((0.4375**2 + 0.25) * 1.546875)
    lower_right = 4 * 0.1875 * 0.25 * 0.5625 / ((0.1875**2 + 0.0625) * 1.171875)
    return {
        "perfect": (1, 1),
        # Lesion mean 0; background 2 * 1 / (1 + 1) on 7 of 16 px. Upper left quadrant two
        # constants, 1; the others have a target that varies and a map that does not, 0.
        "blank": (7 / 16, 1 / 4),
        # Both object scores have mean 0. With v the target's variance, cov = -v and var(x) = v:
        # upper left 1; x = y = 1/2: -1, twice; x = 3/4, y = 1/4:
        # -4 * 3/16 v / ((9/16 + 1/16) * 2 v) = -0.6.
        "inverted": (0, (1 - 1 - 1 - 0.6) / 4),
        "mixed": (mixed_object, (0 + upper_right + lower_left + lower_right) / 4),
    }


@pytest.mark.parametrize("name", MAPS)
def test_s_measure(name: str) -> None:
    object_part, region_part = s_measure_cases()[name]
    prob, expected = MAPS[name], max(0, (object_part + region_part) / 2)
    assert s_measure(prob, TARGET) == score_soft(prob, TARGET).s_measure == approx(expected)
    assert s_measure(prob, TARGET, alpha=1) == approx(object_part)
    assert s_measure(prob, TARGET, alpha=0) == approx(max(0, region_part))


def weighted_f_cases() -> dict[str, tuple[float, float]]:
    """Map to (errors on the lesion that remain, weighted errors off it)."""
    # Gaussian of sigma 5 over 7 px: exp(-d^2 / 50) over the sum Z of d = -3 .. 3.
    weights = [exp(-(d**2) / 50) for d in range(4)]
    z = weights[0] + 2 * sum(weights[1:])
    # Rows 0 and 3 see themselves and three rows on one side; rows 1 and 2 one row and two.
    outer = sum(weights) / z
    inner = (weights[0] + 2 * weights[1] + weights[2]) / z
    # Blank and inverted: all 9 lesion px err by 1, and so do the nearest ones of the background;
    # the mean of a 1 that ends at the border is outer or inner, in each direction.
    all_missed = (outer + inner + inner) ** 2
    # Off the lesion 1 px away: 2 - 0.5^(1 / 5). The corner is sqrt(2) px away.
    beside, corner = 2 - 0.5**0.2, 2 - 0.5 ** (sqrt(2) / 5)
    # Mixed: errors of the lesion, continued to the right and downwards by the nearest of them.
    errors = [[0, 0.5, 0.25, 0.25], [0.25, 0, 0.75, 0.75], [0.5, 0, 0.25, 0.25]]
    errors.append(errors[2])
    remaining = 0.0
    for row, column in np.ndindex(3, 3):
        neighbourhood = sum(
            weights[abs(row - i)] * weights[abs(column - j)] / z**2 * errors[i][j]
            for i, j in np.ndindex(4, 4)
        )
        remaining += min(errors[row][column], neighbourhood)
    return {
        "perfect": (0, 0),
        "blank": (all_missed, 0),
        "inverted": (all_missed, 6 * beside + corner),
        "mixed": (remaining, (0.5 + 0.25) * beside),
    }


@pytest.mark.parametrize("name", MAPS)
def test_weighted_f(name: str) -> None:
    on_lesion, off_lesion = weighted_f_cases()[name]
    hits = 9 - on_lesion
    found, right = hits / 9, hits / (hits + off_lesion)
    expected = 2 * found * right / (found + right)
    assert weighted_f(MAPS[name], TARGET) == approx(expected)
