"""Classes scored one against the rest, by hand."""

import numpy as np
import pytest

from metrics import ClassMeter, Meter, selection_dice
from metrics.class_meter import count_classes

# Rows of 4 px: likeliest classes 0, 1, 1, 2.
PROB = np.array([[0.5, 0.1, 0.4, 0.2], [0.3, 0.8, 0.5, 0.3], [0.2, 0.1, 0.1, 0.5]], np.float32)
PROB = PROB[:, None].repeat(2, axis=1)  # (3, 2, 4): two equal rows
LABEL = np.array([[0, 1, 2, 2], [0, 1, 1, 2]])


def meter(empty_target: str = "one") -> ClassMeter:
    return ClassMeter({name: Meter(empty_target=empty_target) for name in ("ggo", "effusion")})


def test_a_class_is_predicted_where_it_is_the_likeliest() -> None:
    found = meter()
    pred = found.update(PROB, LABEL, "a", "p")
    assert pred.tolist() == [[0, 1, 1, 2]] * 2
    ggo, effusion = found.rows
    assert (ggo["class"], ggo["lesion_px"], ggo["pred_px"], ggo["hit_px"]) == ("ggo", 3, 4, 3)
    assert ggo["dice"] == pytest.approx(2 * 3 / (3 + 4))
    assert effusion["dice"] == pytest.approx(2 * 2 / (3 + 2))
    # The soft metrics see p of the class: |p - t| over the 8 px.
    assert ggo["mae"] == pytest.approx((2 * (0.3 + 0.2 + 0.3) + 0.5 + 0.5) / 8, abs=1e-6)


def test_a_px_is_of_its_likeliest_class_below_the_threshold_too() -> None:
    prob = np.full((3, 2, 2), 0.3, np.float32)
    prob[1] = 0.4
    found = meter()
    found.update(prob, np.ones((2, 2), int), "a", "p")
    assert found.rows[0]["dice"] == 1.0


def test_the_mean_is_over_the_classes_that_a_case_shows() -> None:
    found = meter()
    found.update(PROB, LABEL, "a", "p")
    dice = {row["class"]: row["dice"] for row in found.rows}
    summary = found.summary()
    assert summary["class_mean"]["dice"] == pytest.approx(np.mean(list(dice.values())))
    assert summary["class_mean"]["dice_pooled"] == pytest.approx(np.mean(list(dice.values())))
    only = meter()
    only.update(PROB, np.minimum(LABEL, 1), "a", "p")
    summary = only.summary()
    assert summary["classes"]["effusion"]["num_empty_target"] == 1
    assert summary["class_mean"]["dice"] == summary["classes"]["ggo"]["dice"]


def test_a_class_that_is_never_predicted_does_not_win_by_the_slices_that_lack_it() -> None:
    blank = np.zeros((3, 2, 4), np.float32)
    blank[0] = 1
    found = meter()
    for index in range(9):
        found.update(blank, np.zeros_like(LABEL), f"empty{index}", "p")
    found.update(blank, LABEL, "a", "p")
    summary = found.summary()
    assert summary["class_mean"]["dice"] == pytest.approx(0.9)
    assert selection_dice(summary) == 0.0
    assert selection_dice({"dice": 0.7}) == 0.7


def test_rows_of_several_processes_make_the_summary_of_one() -> None:
    whole, parts, merged = meter(), [meter(), meter()], meter()
    for index, label in enumerate((LABEL, np.flip(LABEL, 1), np.zeros_like(LABEL))):
        whole.update(PROB, label, f"s{index}", "p")
        parts[index % 2].update(PROB, label, f"s{index}", "p")
    for part in parts:
        merged.add_rows(part.rows)
    found, expected = merged.summary(), whole.summary()
    assert found["class_mean"] == pytest.approx(expected["class_mean"])
    for name, own in expected["classes"].items():
        assert found["classes"][name] == pytest.approx(own)  # sums in another order


def test_the_confusion_matrix_has_targets_in_rows() -> None:
    counts = count_classes(LABEL, PROB.argmax(0), 3)
    assert counts.tolist() == [[2, 0, 0], [0, 3, 0], [0, 1, 2]]
    assert counts.sum() == LABEL.size
    with pytest.raises(ValueError, match="resize one of them"):
        count_classes(LABEL, LABEL[:1], 3)
