"""The meter: rows, macro and pooled summaries, the empty-target policy, and its messages."""

import json
import math

import numpy as np
import pytest

from metrics import Meter, e_measure_mean, mae, s_measure

ROW_KEYS = ["name", "patient", "dice", "sensitivity", "precision", "mae", "e_measure_mean"]
ROW_KEYS += ["s_measure", "lesion_px", "pred_px", "hit_px", "num_px"]
METRIC_KEYS = ["dice", "sensitivity", "precision", "mae", "e_measure_mean", "s_measure"]
SUMMARY_KEYS = ["n", "n_patients", *METRIC_KEYS]
SUMMARY_KEYS += [f"{key}_{part}" for part in ("std", "nonempty") for key in METRIC_KEYS]
SUMMARY_KEYS += ["dice_pooled", "sensitivity_pooled"]
SUMMARY_KEYS += ["precision_pooled", "num_empty_target", "num_false_alarm", "num_missed"]
SUMMARY_KEYS += ["empty_target", "threshold"]


def make_map(*pixels: int) -> np.ndarray:
    """4 x 4 px, True at the given positions in reading order."""
    flat = np.zeros(16, dtype=bool)
    flat[list(pixels)] = True
    return flat.reshape(4, 4)


# name, patient, prediction, target; and what dice, sensitivity and precision come to
CASES = [
    ("half", "p1", make_map(1, 2, 5, 6), make_map(0, 1, 4, 5)),  # 2 of 4 and 4: 1/2, 1/2, 1/2
    ("healthy", "p1", make_map(), make_map()),  # the policy
    ("alarm", "p2", make_map(7, 8), make_map()),  # 0, 0, 0
    ("missed", "p2", make_map(), make_map(9, 10)),  # 0, 0, 0
    ("large", "p3", make_map(0, 1, 2, 3), make_map(1, 2)),  # 2 of 2 and 4: 4/6, 1, 2/4
]


def filled_meter(empty_target: str = "one") -> Meter:
    meter = Meter(empty_target=empty_target)
    for name, patient, pred, target in CASES:
        meter.update(pred * np.float32(0.9), target, name, patient)
    return meter


def test_rows_hold_one_hand_worked_score_per_case() -> None:
    rows = filled_meter().rows
    assert [list(row) for row in rows] == [ROW_KEYS] * 5
    assert [row["name"] for row in rows] == ["half", "healthy", "alarm", "missed", "large"]
    assert [row["patient"] for row in rows] == ["p1", "p1", "p2", "p2", "p3"]
    assert [row["dice"] for row in rows] == pytest.approx([0.5, 1, 0, 0, 2 / 3])
    assert [row["sensitivity"] for row in rows] == pytest.approx([0.5, 1, 0, 0, 1])
    assert [row["precision"] for row in rows] == pytest.approx([0.5, 1, 0, 0, 0.5])
    assert [row["lesion_px"] for row in rows] == [4, 0, 0, 2, 2]
    assert [row["pred_px"] for row in rows] == [4, 0, 2, 0, 4]
    assert [row["hit_px"] for row in rows] == [2, 0, 0, 0, 2]
    assert [row["num_px"] for row in rows] == [16] * 5
    for row, (_, _, pred, target) in zip(rows, CASES, strict=True):
        prob = pred * np.float32(0.9)
        assert row["mae"] == pytest.approx(mae(prob, target), abs=1e-12)
        assert row["e_measure_mean"] == pytest.approx(e_measure_mean(prob, target), abs=1e-12)
        assert row["s_measure"] == pytest.approx(s_measure(prob, target), abs=1e-12)


@pytest.mark.parametrize(
    ("policy", "dice", "sensitivity", "precision"),
    [
        ("one", (0.5 + 1 + 2 / 3) / 5, 2.5 / 5, 2 / 5),
        ("zero", (0.5 + 2 / 3) / 5, 1.5 / 5, 1 / 5),
        ("nan", (0.5 + 2 / 3) / 4, 1.5 / 4, 1 / 4),  # the healthy slice leaves the mean
    ],
)
def test_macro_means_follow_the_policy(policy, dice, sensitivity, precision) -> None:
    summary = filled_meter(policy).summary()
    assert summary["dice"] == pytest.approx(dice)
    assert summary["sensitivity"] == pytest.approx(sensitivity)
    assert summary["precision"] == pytest.approx(precision)
    assert summary["dice_nonempty"] == pytest.approx((0.5 + 0 + 2 / 3) / 3)
    assert summary["empty_target"] == policy


def test_soft_metrics_are_means_of_the_rows() -> None:
    meter = filled_meter("nan")
    for key in ("mae", "e_measure_mean", "s_measure"):
        assert meter.summary()[key] == pytest.approx(np.mean([row[key] for row in meter.rows]))


def test_standard_deviations_are_of_the_cases_that_are_averaged() -> None:
    values = [0.5, 0, 0, 2 / 3]  # without the healthy slice
    assert filled_meter("nan").summary()["dice_std"] == pytest.approx(np.std(values, ddof=1))
    one = Meter(empty_target="one")
    one.update(*[make_map(1).astype(float), make_map(1)], "a", "p")
    assert math.isnan(one.summary()["dice_std"])


@pytest.mark.parametrize("policy", ["one", "zero", "nan"])
def test_pooled_scores_come_from_the_counts_of_all_cases(policy: str) -> None:
    # TP 2 + 2 = 4; targets 4 + 2 + 2 = 8 px; predictions 4 + 2 + 4 = 10 px.
    summary = filled_meter(policy).summary()
    assert summary["dice_pooled"] == pytest.approx(8 / 18)
    assert summary["sensitivity_pooled"] == pytest.approx(4 / 8)
    assert summary["precision_pooled"] == pytest.approx(4 / 10)


def test_counts() -> None:
    meter = filled_meter()
    meter.update(make_map(3).astype(float), make_map(12), "beside", "p3")  # predicted, but no hit
    summary = meter.summary()
    assert list(summary) == SUMMARY_KEYS
    assert (summary["n"], summary["n_patients"]) == (6, 3)
    assert (summary["num_empty_target"], summary["num_false_alarm"]) == (2, 1)
    assert summary["num_missed"] == 2
    assert summary["threshold"] == 0.5


def test_summary_and_rows_hold_plain_python_types() -> None:
    meter = filled_meter()
    for record in (meter.summary(), *meter.rows):
        assert {type(value) for value in record.values()} <= {int, float, str}
    assert json.loads(json.dumps(meter.summary())) == meter.summary()


@pytest.mark.parametrize(("policy", "score"), [("one", 1.0), ("zero", 0.0), ("nan", math.nan)])
@pytest.mark.filterwarnings("error")
def test_only_healthy_slices(policy: str, score: float) -> None:
    meter = Meter(empty_target=policy)
    meter.update(np.zeros((4, 4)), make_map(), "a", "p")
    meter.update(np.zeros((4, 4)), make_map(), "b", "p")
    summary = meter.summary()
    for key in ("dice", "sensitivity", "precision", "dice_pooled"):
        assert summary[key] == pytest.approx(score, nan_ok=True)
    assert math.isnan(summary["dice_nonempty"])
    assert (summary["num_empty_target"], summary["num_false_alarm"]) == (2, 0)
    assert summary["s_measure"] == 1.0


def test_a_probability_at_the_threshold_counts() -> None:
    for threshold in (0.5, 0.7):
        meter = Meter(empty_target="one", threshold=threshold)
        meter.update(np.full((4, 4), threshold, dtype=np.float32), make_map(0), "at", "p")
        below = np.nextafter(np.float32(threshold), np.float32(0))
        meter.update(np.full((4, 4), below), make_map(0), "below", "p")
        assert [row["pred_px"] for row in meter.rows] == [16, 0]


def test_every_metric_has_a_mean_over_the_cases_with_lesion() -> None:
    meter = filled_meter()
    summary, nonempty = meter.summary(), [row for row in meter.rows if row["lesion_px"]]
    for key in METRIC_KEYS:
        expected = sum(row[key] for row in nonempty) / 3
        assert summary[f"{key}_nonempty"] == pytest.approx(expected)


def test_rows_of_two_meters_come_to_the_summary_of_one() -> None:
    whole, first, second = filled_meter(), filled_meter(), Meter(empty_target="one")
    first.add_rows(second.rows)
    second.update(make_map(3).astype(float), make_map(12), "beside", "p3")
    whole.update(make_map(3).astype(float), make_map(12), "beside", "p3")
    first.add_rows(second.rows)
    assert first.summary() == whole.summary()


def test_update_gives_back_the_case_as_it_was_scored() -> None:
    prob, target = make_map(1, 2).astype(np.float32), make_map(2)
    case = Meter(empty_target="one").update(prob, target, "a", "p")
    assert case.prob is prob
    assert (case.pred == make_map(1, 2)).all()
    assert case.confusion == (1, 1, 0, 14)


def test_rows_are_copies() -> None:
    meter = filled_meter()
    meter.rows[0]["dice"] = 7
    meter.rows.clear()
    assert meter.rows[0]["dice"] == 0.5


def test_no_case_has_no_summary() -> None:
    with pytest.raises(ValueError, match="no case"):
        Meter(empty_target="one").summary()


@pytest.mark.parametrize(
    ("prob", "target", "message"),
    [
        (np.full((4, 4), np.nan), make_map(), "NaN"),
        (np.full((4, 4), 1.5), make_map(), r"\[0, 1\]"),
        (np.zeros((4, 4), dtype=np.uint8), make_map(), "uint8"),
        (np.zeros((4, 4)), make_map().astype(np.uint8), "bool"),
        (np.zeros((4, 5)), make_map(), r"\(4, 5\)"),
        (np.zeros((1, 1)), np.ones((1, 1), dtype=bool), "at least 2 px"),
    ],
)
def test_a_bad_case_is_named_and_not_added(prob, target, message: str) -> None:
    meter = Meter(empty_target="one")
    with pytest.raises(ValueError, match=f"case 'slice_7' of patient 'p9'.*{message}"):
        meter.update(prob, target, "slice_7", "p9")
    assert meter.rows == []


def test_settings_are_checked() -> None:
    with pytest.raises(TypeError):
        Meter()
    with pytest.raises(ValueError, match="empty_target"):
        Meter(empty_target="ignore")
    with pytest.raises(ValueError, match="threshold"):
        Meter(empty_target="one", threshold=128)
