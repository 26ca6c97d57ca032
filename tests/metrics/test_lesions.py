"""Lesion-wise detection: hand-worked, degenerate and random cases."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from metrics.lesions import LesionCounts, count_lesions, lesion_f1, pool_lesion_counts

POLICIES = ["one", "zero", "nan"]


def mask(*rows: str) -> NDArray[np.bool_]:
    """A mask from a picture of it: # is set."""
    return np.array([[px == "#" for px in row] for row in rows])


TARGET = mask(
    "##......",
    "##...#..",
    ".....##.",
    "........",
    "#.....##",
)
EMPTY = np.zeros_like(TARGET)
BESIDE = mask("..#.....", "..#.....", "........", "........", "........")


def flood_components(binary: NDArray[np.bool_]) -> list[set[tuple[int, int]]]:
    """8-connected components by flooding, one px at a time."""
    unseen = set(zip(*(index.tolist() for index in np.nonzero(binary)), strict=True))
    components = []
    while unseen:
        component, front = set(), {unseen.pop()}
        while front:
            row, column = front.pop()
            component.add((row, column))
            near = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & unseen
            unseen -= near
            front |= near
        components.append(component)
    return components


def test_counts_of_a_hand_worked_case() -> None:
    # The target has 4 lesions: top left, middle, bottom left, bottom right. The prediction covers
    # one px of the first and two of the second, misses the bottom two, and adds one in the corner
    # and one below the first: 4 predicted, 2 of them false.
    pred = mask(
        ".#.....#",
        ".....#..",
        ".....#..",
        ".##.....",
        "........",
    )
    counts = count_lesions(pred, TARGET)
    assert counts == LesionCounts(4, 2, 4, 2)
    assert all(type(count) is int for count in counts)
    # Found 2 / 4, true 2 / 4: harmonic mean 1 / 2.
    assert lesion_f1(counts, empty_target="nan") == pytest.approx(0.5)


def test_f1_is_the_harmonic_mean_of_two_different_shares() -> None:
    # Found 3 of 4, true 1 of 2: 2 * (3/4 * 1/2) / (3/4 + 1/2) = (3/4) / (5/4).
    assert lesion_f1(LesionCounts(4, 3, 2, 1), empty_target="nan") == pytest.approx(0.6)


def test_pixels_that_touch_at_a_corner_are_one_lesion() -> None:
    diagonal = mask("#...", ".#..", "..#.", "....")
    apart = mask("#...", "....", "..#.", "...#")
    assert count_lesions(diagonal, diagonal) == LesionCounts(1, 1, 1, 0)
    assert count_lesions(apart, diagonal) == LesionCounts(1, 1, 2, 0)


def test_touching_a_lesion_without_sharing_a_pixel_is_no_hit() -> None:
    assert count_lesions(BESIDE, TARGET) == LesionCounts(4, 0, 1, 1)


def test_one_prediction_over_two_lesions_finds_both() -> None:
    target, pred = mask("##..##", "##..##"), mask("......", ".####.")
    assert count_lesions(pred, target) == LesionCounts(2, 2, 1, 0)


def test_two_predictions_over_one_lesion_find_it_once_and_neither_is_false() -> None:
    target, pred = mask("######", "######"), mask("##..##", "##..##")
    assert count_lesions(pred, target) == LesionCounts(1, 1, 2, 0)


@pytest.mark.parametrize("binary", [TARGET, ~EMPTY, np.ones((1, 1), dtype=bool)])
def test_a_perfect_prediction_scores_one(binary) -> None:
    counts = count_lesions(binary, binary)
    assert counts.num_lesions == counts.num_lesions_found == counts.num_pred_lesions > 0
    assert lesion_f1(counts, empty_target="zero") == 1.0


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (17, 31)])
def test_agrees_with_flooded_components(shape) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        pred, target = rng.random(shape) < 0.2, rng.random(shape) < 0.15
        lesions, predicted = flood_components(target), flood_components(pred)
        lesion_px, pred_px = set().union(*lesions), set().union(*predicted)
        expected = LesionCounts(
            len(lesions),
            sum(bool(one & pred_px) for one in lesions),
            len(predicted),
            sum(not one & lesion_px for one in predicted),
        )
        assert count_lesions(pred, target) == expected


@pytest.mark.parametrize(("policy", "score"), [("one", 1.0), ("zero", 0.0), ("nan", math.nan)])
def test_no_lesion_on_either_side_follows_the_policy(policy, score) -> None:
    counts = count_lesions(EMPTY, EMPTY)
    assert counts == LesionCounts(0, 0, 0, 0)
    assert lesion_f1(counts, empty_target=policy) == pytest.approx(score, nan_ok=True)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("pred", "target", "counts"),
    [
        (TARGET, EMPTY, LesionCounts(0, 0, 4, 4)),
        (EMPTY, TARGET, LesionCounts(4, 0, 0, 0)),
        (BESIDE, TARGET, LesionCounts(4, 0, 1, 1)),
    ],
    ids=["false alarms", "missed", "beside"],
)
def test_no_hit_scores_zero_under_every_policy(policy, pred, target, counts) -> None:
    assert count_lesions(pred, target) == counts
    assert lesion_f1(counts, empty_target=policy) == 0.0


def test_pooling_adds_the_counts() -> None:
    pooled = pool_lesion_counts(
        [LesionCounts(4, 3, 2, 1), LesionCounts(0, 0, 0, 0), LesionCounts(0, 0, 2, 2)]
    )
    assert pooled == LesionCounts(4, 3, 4, 3)
    assert all(type(count) is int for count in pooled)
    # Found 3 / 4, true 1 / 4: 2 * (3/16) / 1.
    assert lesion_f1(pooled, empty_target="nan") == pytest.approx(3 / 8)
    assert pool_lesion_counts([]) == LesionCounts(0, 0, 0, 0)


def test_the_policy_is_required_and_checked() -> None:
    with pytest.raises(TypeError):
        lesion_f1(LesionCounts(1, 1, 1, 0))
    with pytest.raises(ValueError, match=r"empty_target.*'nans'"):
        lesion_f1(LesionCounts(1, 1, 1, 0), empty_target="nans")


@pytest.mark.parametrize(
    ("pred", "target", "message"),
    [
        (TARGET.astype(np.uint8), TARGET, "pred must be bool"),
        (TARGET, TARGET.astype(np.float32), "target must be bool"),
        (TARGET[:3], TARGET, r"pred is \(3, 8\), target is \(5, 8\)"),
    ],
)
def test_refuses_what_it_would_have_to_guess(pred, target, message) -> None:
    with pytest.raises(ValueError, match=message):
        count_lesions(pred, target)
