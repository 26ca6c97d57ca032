"""Dice, IoU, sensitivity, specificity and precision: hand-worked, degenerate and random cases."""

import math

import numpy as np
import pytest

from metrics import (
    Confusion,
    confusion,
    dice,
    iou,
    pool_confusions,
    precision,
    sensitivity,
    specificity,
)

OVERLAP = [dice, iou, sensitivity, precision]
POLICIES = ["one", "zero", "nan"]
TARGET = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)
PRED = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0]], dtype=bool)
EMPTY = np.zeros((4, 4), dtype=bool)


def test_confusion_counts_a_hand_worked_case() -> None:
    # Predicted 6 px, of which 2 lie in the 4 px of the lesion: TP 2, FP 4, FN 2, TN 16 - 8 = 8.
    counts = confusion(PRED, TARGET)
    assert counts == Confusion(2, 4, 2, 8)
    assert (counts.num_target, counts.num_pred) == (4, 6)
    assert all(type(count) is int for count in counts)


@pytest.mark.parametrize("policy", POLICIES)
def test_scores_of_a_hand_worked_case(policy: str) -> None:
    counts = Confusion(2, 4, 2, 8)
    assert dice(counts, empty_target=policy) == pytest.approx(0.4)  # 2 * 2 / (6 + 4)
    assert iou(counts, empty_target=policy) == pytest.approx(0.25)  # 2 / (2 + 4 + 2)
    assert specificity(counts, empty_target=policy) == pytest.approx(2 / 3)  # 8 / (8 + 4)
    assert sensitivity(counts, empty_target=policy) == pytest.approx(0.5)  # 2 / 4
    assert precision(counts, empty_target=policy) == pytest.approx(1 / 3)  # 2 / 6


@pytest.mark.parametrize("metric", OVERLAP)
@pytest.mark.parametrize(("policy", "score"), [("one", 1.0), ("zero", 0.0), ("nan", math.nan)])
def test_empty_target_and_empty_prediction_follow_the_policy(metric, policy, score) -> None:
    assert metric(confusion(EMPTY, EMPTY), empty_target=policy) == pytest.approx(score, nan_ok=True)


@pytest.mark.parametrize("metric", OVERLAP)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("pred", "target"),
    [(PRED, EMPTY), (~EMPTY, EMPTY), (EMPTY, TARGET), (EMPTY, ~EMPTY), (~TARGET, TARGET)],
    ids=["false alarm", "all alarm", "missed", "all missed", "inverted"],
)
def test_no_hit_scores_zero_under_every_policy(metric, policy, pred, target) -> None:
    assert metric(confusion(pred, target), empty_target=policy) == 0.0


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("pred", "target", "score"),
    [
        (EMPTY, EMPTY, 1),
        (PRED, EMPTY, 10 / 16),  # 6 of 16 px are false alarms
        (~EMPTY, EMPTY, 0),
        (EMPTY, TARGET, 1),
        (~EMPTY, TARGET, 0),
        (TARGET, TARGET, 1),
        (~TARGET, TARGET, 0),
    ],
)
def test_specificity_is_a_plain_ratio_wherever_there_is_background(
    policy, pred, target, score
) -> None:
    assert specificity(confusion(pred, target), empty_target=policy) == pytest.approx(score)


@pytest.mark.parametrize("pred", [EMPTY, PRED, ~EMPTY])
@pytest.mark.parametrize(("policy", "score"), [("one", 1.0), ("zero", 0.0), ("nan", math.nan)])
def test_specificity_of_a_full_target_follows_the_policy(pred, policy, score) -> None:
    counts = confusion(pred, ~EMPTY)
    assert specificity(counts, empty_target=policy) == pytest.approx(score, nan_ok=True)


@pytest.mark.parametrize("metric", OVERLAP)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("target", [TARGET, ~EMPTY], ids=["lesion", "full"])
def test_perfect_prediction_scores_one(metric, policy, target) -> None:
    assert metric(confusion(target, target), empty_target=policy) == 1.0


def test_full_prediction_has_sensitivity_one_and_the_lesion_fraction_as_precision() -> None:
    counts = confusion(~EMPTY, TARGET)
    assert sensitivity(counts, empty_target="one") == 1.0
    assert precision(counts, empty_target="one") == 0.25  # 4 / 16
    assert dice(counts, empty_target="one") == pytest.approx(0.4)  # 2 * 4 / (16 + 4)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (17, 31)])
def test_agrees_with_sets_of_pixels(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        pred, target = rng.random(shape) < 0.4, rng.random(shape) < 0.4
        p, g = (set(zip(*np.nonzero(mask), strict=True)) for mask in (pred, target))
        if not g:
            continue
        counts = confusion(pred, target)
        assert dice(counts, empty_target="nan") == pytest.approx(2 * len(p & g) / (len(p) + len(g)))
        assert iou(counts, empty_target="nan") == pytest.approx(len(p & g) / len(p | g))
        assert sensitivity(counts, empty_target="nan") == pytest.approx(len(p & g) / len(g))
        assert precision(counts, empty_target="nan") == pytest.approx(len(p & g) / max(len(p), 1))


def test_pooling_adds_the_counts() -> None:
    pooled = pool_confusions([Confusion(2, 4, 2, 8), Confusion(0, 0, 0, 16), Confusion(1, 0, 0, 3)])
    assert pooled == Confusion(3, 4, 2, 27)
    assert dice(pooled, empty_target="nan") == pytest.approx(0.5)  # 2 * 3 / (7 + 5)
    assert pool_confusions([]) == Confusion(0, 0, 0, 0)


@pytest.mark.parametrize("metric", [*OVERLAP, specificity])
def test_the_policy_is_required_and_checked(metric) -> None:
    with pytest.raises(TypeError):
        metric(Confusion(1, 1, 1, 1))
    with pytest.raises(ValueError, match=r"empty_target.*'nans'"):
        metric(Confusion(1, 1, 1, 1), empty_target="nans")


@pytest.mark.parametrize(
    ("pred", "target", "message"),
    [
        (PRED.astype(np.uint8), TARGET, "pred must be bool"),
        (PRED, TARGET.astype(np.float32), "target must be bool"),
        (PRED[:3], TARGET, r"pred is \(3, 4\), target is \(4, 4\)"),
        (PRED[None], TARGET[None], "non-empty"),
        (PRED.tolist(), TARGET, "numpy"),
    ],
)
def test_confusion_refuses_what_it_would_have_to_guess(pred, target, message) -> None:
    with pytest.raises(ValueError, match=message):
        confusion(pred, target)
