"""S-measure: hand-worked and degenerate cases, and a loop over the pixels as an oracle."""

import math
import statistics

import numpy as np
import pytest

from metrics import s_measure

# 3 x 3 px of lesion around (1, 1): the centroid splits the 4 x 4 map into quadrants of 2 x 2 px.
TARGET = np.array([[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]], dtype=bool)
EMPTY = np.zeros((4, 4), dtype=bool)


def naive_object(values: list[float]) -> float:
    """2 x / (x^2 + 1 + std) in plain Python."""
    x = statistics.fmean(values)
    std = statistics.stdev(values) if len(values) > 1 else 0.0
    return 2 * x / (x * x + 1 + std)


def naive_similarity(pairs: list[tuple[float, float]]) -> float:
    """SSIM without constants, over (prediction, target) pairs, in plain Python."""
    if len(pairs) == 1:
        return 1.0
    preds, targets = zip(*pairs, strict=True)
    x, y = statistics.fmean(preds), statistics.fmean(targets)
    cov = sum((p - x) * (g - y) for p, g in pairs) / (len(pairs) - 1)
    if len(set(preds)) == 1 or len(set(targets)) == 1:
        cov = 0.0
    constant = len(set(preds)) == 1 and len(set(targets)) == 1
    energy = (x * x + y * y) * (statistics.variance(preds) + statistics.variance(targets))
    if cov == 0:
        return 1.0 if constant or energy == 0 else 0.0
    return 4 * x * y * cov / energy


def naive_s_measure(prob: np.ndarray, target: np.ndarray) -> float:
    """The definition with alpha 0.5, by lists of pixels."""
    height, width = target.shape
    pixels = [(i, j, float(prob[i, j]), float(target[i, j])) for i, j in np.ndindex(height, width)]
    lesion = [(i, j) for i, j, _, g in pixels if g]
    mean = statistics.fmean(p for _, _, p, _ in pixels)
    if len(lesion) in (0, len(pixels)):
        return mean if lesion else 1 - mean
    share = len(lesion) / len(pixels)
    score = 0.5 * share * naive_object([p for _, _, p, g in pixels if g])
    score += 0.5 * (1 - share) * naive_object([1 - p for _, _, p, g in pixels if not g])
    row = round(statistics.fmean(i for i, _ in lesion))
    col = round(statistics.fmean(j for _, j in lesion))
    for above in (True, False):
        for before in (True, False):
            part = [(p, g) for i, j, p, g in pixels if ((i <= row), (j <= col)) == (above, before)]
            if part:
                score += 0.5 * len(part) / len(pixels) * naive_similarity(part)
    return max(0.0, score)


def make_case(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A random map over a target of the named kind; its centroid leaves four quadrants."""
    rng = np.random.default_rng(5)
    shape = {"tiny": (2, 3), "tall": (41, 18)}.get(kind, (24, 37))
    prob, target = rng.random(shape), np.zeros(shape, dtype=bool)
    if kind == "full":
        target[:] = True
    elif kind == "halves":
        target[2:4, 3:5] = True  # centroid (2.5, 3.5)
    elif kind == "one px":
        target[9, 20] = True
    elif kind == "two lesions":
        target[3:9, 4:12], target[10:19, 22:30] = True, True
    elif kind == "tiny":
        target[0, :2] = True
    elif kind != "empty":
        target = rng.random(shape) < 0.2
    if kind == "levels":
        prob = rng.integers(0, 256, shape) / 255
    return prob, target


KINDS = ["random", "levels", "tall", "tiny", "halves", "one px", "two lesions", "empty", "full"]


def test_hand_worked_case() -> None:
    # prob = 0.2 + 0.6 * target. Object part: 0.8 without spread on both sides, 1.6 / (0.64 + 1).
    # Region part, quadrants of 4 px, with v the target's variance, cov 0.6 v, var(prob) 0.36 v:
    #   upper left, both constant: 1
    #   upper right and lower left, x = y = 1/2: 4/4 * 0.6 v / (1/2 * 1.36 v) = 1.2 / 1.36
    #   lower right, y = 1/4, x = 0.35: 4 * 0.0875 * 0.6 v / ((0.1225 + 0.0625) * 1.36 v)
    region = (1 + 2 * 1.2 / 1.36 + 0.21 / (0.185 * 1.36)) / 4
    expected = 0.5 * 1.6 / 1.64 + 0.5 * region
    assert expected == pytest.approx(0.937725, abs=1e-6)
    prob = np.where(TARGET, 0.8, 0.2)
    assert s_measure(prob, TARGET) == pytest.approx(expected, abs=1e-9)
    assert s_measure(prob, TARGET, alpha=1) == pytest.approx(1.6 / 1.64, abs=1e-9)
    assert s_measure(prob, TARGET, alpha=0) == pytest.approx(region, abs=1e-9)


def test_spread_is_counted_with_n_minus_1() -> None:
    # Lesion 2 px of 1 and 0.5: mean 0.75, std sqrt(2 * 0.0625 / 1); background 2 px at 0: 1.
    target = np.array([[True, True], [False, False]])
    prob = np.array([[1.0, 0.5], [0.0, 0.0]])
    lesion = 1.5 / (0.75**2 + 1 + math.sqrt(0.125))
    assert s_measure(prob, target, alpha=1) == pytest.approx(0.5 * lesion + 0.5, abs=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_a_loop_over_the_pixels(kind: str, dtype: type) -> None:
    prob, target = make_case(kind)
    prob = prob.astype(dtype)
    assert s_measure(prob, target) == pytest.approx(naive_s_measure(prob, target), abs=1e-9)


@pytest.mark.parametrize("pixel", [(3, 3), (0, 3), (3, 0)])
def test_centroid_in_the_last_row_or_column_leaves_fewer_quadrants(pixel: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    prob, target = rng.random((4, 4)), EMPTY.copy()
    target[pixel] = True
    assert s_measure(prob, target) == pytest.approx(naive_s_measure(prob, target), abs=1e-9)


@pytest.mark.parametrize("level", [0.0, 0.1, 0.3, 0.7, 1.0])
def test_constant_map_scores_as_if_arithmetic_were_exact(level: float) -> None:
    # The mean of many 0.1 is not 0.1 in floating point; the quadrant without lesion must still be
    # two constants, which score 1.
    target = np.zeros((9, 13), dtype=bool)
    target[0:3, 0:9], target[3:9, 6:9] = True, True
    prob = np.full(target.shape, level)
    assert s_measure(prob, target) == pytest.approx(naive_s_measure(prob, target), abs=1e-9)


@pytest.mark.parametrize("target", [TARGET, EMPTY, ~EMPTY], ids=["lesion", "empty", "full"])
def test_perfect_map_scores_one(target: np.ndarray) -> None:
    assert s_measure(target.astype(np.float32), target) == pytest.approx(1, abs=1e-12)


def test_empty_target_scores_one_minus_the_mean() -> None:
    assert s_measure(np.zeros((4, 4)), EMPTY) == 1
    assert s_measure(np.ones((4, 4)), EMPTY) == 0
    assert s_measure(TARGET.astype(float), EMPTY) == 1 - 9 / 16


def test_full_target_scores_the_mean() -> None:
    assert s_measure(np.zeros((4, 4)), ~EMPTY) == 0
    assert s_measure(np.ones((4, 4)), ~EMPTY) == 1
    assert s_measure(TARGET.astype(float), ~EMPTY) == 9 / 16


def test_inverted_map_is_clamped_to_zero() -> None:
    # A chequerboard: the object part is 0, and target and map are opposed in every quadrant.
    target = np.indices((6, 6)).sum(axis=0) % 2 == 0
    prob = (~target).astype(np.float64)
    assert s_measure(prob, target) == 0


def test_faint_noise_costs_the_quadrants_without_lesion() -> None:
    # Lesions in two opposite corners, perfect but for a noise below half of a grey level. Two of
    # the four quadrants fall from 1 to 0, which takes about half of the region part.
    target = np.zeros((8, 8), dtype=bool)
    target[:3, :3], target[5:, 5:] = True, True
    noise = np.random.default_rng(9).random((8, 8)) / 600
    raw = np.where(target, 1.0, noise)
    assert s_measure(np.round(raw * 255) / 255, target) == pytest.approx(1)
    assert 0.7 < s_measure(raw, target) < 0.8


@pytest.mark.parametrize("spread", [1e-3, 1e-6, 1e-9])
def test_almost_constant_map_loses_no_digits(spread: float) -> None:
    # Differences of sums of squares would leave 1e-16 of rounding, the root of which is 1e-8.
    prob, target = make_case("two lesions")
    prob = 0.7 + spread * prob
    assert s_measure(prob, target) == pytest.approx(naive_s_measure(prob, target), abs=1e-12)


def test_one_px_that_differs_ends_a_constant_quadrant() -> None:
    # Opposite lesions around (4, 4): the 5 x 4 px of upper right and lower left hold none.
    target = np.zeros((9, 9), dtype=bool)
    target[:3, :3], target[6:, 6:] = True, True
    prob = target.astype(np.float64)
    assert s_measure(prob, target, alpha=0) == pytest.approx(1, abs=1e-12)
    prob[4, 8] = 1e-7
    assert s_measure(prob, target, alpha=0) == pytest.approx(1 - 20 / 81, abs=1e-9)


def test_layout_in_memory_does_not_matter() -> None:
    prob, target = make_case("two lesions")
    expected = s_measure(prob, target)
    assert s_measure(np.asfortranarray(prob), np.asfortranarray(target)) == expected
    assert s_measure(np.repeat(prob, 2, axis=1)[:, ::2], target) == expected
    prob.flags.writeable = target.flags.writeable = False
    assert s_measure(prob, target) == expected


def test_single_pixel_has_a_score() -> None:
    assert s_measure(np.full((1, 1), 0.25), np.zeros((1, 1), dtype=bool)) == 0.75
    assert s_measure(np.full((1, 1), 0.25), np.ones((1, 1), dtype=bool)) == 0.25


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
        s_measure(prob, target)


def test_refuses_alpha_outside_its_range() -> None:
    with pytest.raises(ValueError, match="alpha"):
        s_measure(np.zeros((4, 4)), TARGET, alpha=1.5)
