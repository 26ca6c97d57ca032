"""The meters of the protocols: hand-worked scores, and a naive run of each published rule."""

import math

import numpy as np
import pytest

from metrics import e_measure_curve, mae, s_measure
from metrics.case import Rules
from metrics.protocols import INFNET, NATIVE, PROTOCOLS
from metrics.protocols.cosup import CosupMeter
from metrics.protocols.infnet import InfNetMeter
from metrics.protocols.native import NativeMeter

EMPTY = np.zeros((8, 10), dtype=bool)


def square(top: int, left: int, side: int = 3) -> np.ndarray:
    mask = EMPTY.copy()
    mask[top : top + side, left : left + side] = True
    return mask


def soft_cases(seed: int = 0, count: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
    """Random maps in steps of 1/255 on squares; the last target is empty."""
    rng = np.random.default_rng(seed)
    targets = [square(1 + i % 3, 2 + i, 3) for i in range(count - 1)] + [EMPTY]
    levels = [np.clip(rng.integers(0, 120, EMPTY.shape) + 90 * t, 0, 255) for t in targets]
    return [(level / 255, target) for level, target in zip(levels, targets, strict=True)]


def fill(meter, cases) -> dict:
    for index, (prob, target) in enumerate(cases):
        meter.update(prob, target, f"case{index}", f"p{index // 2}", (1.0, 2.0))
    return meter.summary()


def test_cosup_dice_by_hand() -> None:
    # Squares of 9 px; predictions: 6 of 9 hit and none beside (2*6/15), blank, blank on empty.
    half = square(1, 1)
    half[1] = False
    cases = [(half, square(1, 1)), (EMPTY, square(2, 4)), (EMPTY, EMPTY)]
    summary = fill(CosupMeter(), [(pred.astype(np.float32), target) for pred, target in cases])
    dices = [(12 + 1e-8) / (15 + 1e-8), 1e-8 / (9 + 1e-8), 1.0]
    assert summary["dice"] == pytest.approx(sum(dices) / 3, abs=1e-15)
    # sum_dice: hits 6, predicted 6, lesion 18: (12 + 1e-8) / (24 + 1e-8)
    assert summary["dice_pooled"] == pytest.approx((12 + 1e-8) / (24 + 1e-8), abs=1e-15)
    assert summary["empty_target"] == "one"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cosup_rounds_a_probability_of_one_half_to_0(dtype: type) -> None:
    meter = CosupMeter()
    meter.update(np.full((4, 4), 0.5, dtype), np.ones((4, 4), bool), "half", "p")
    above = np.nextafter(np.float32(0.5), np.float32(1)).astype(dtype)
    meter.update(np.full((4, 4), above), np.ones((4, 4), bool), "above", "p")
    assert [row["pred_px"] for row in meter.rows] == [0, 16]


def naive_inf_net(cases: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """The published rule, a loop over cases and 256 thresholds."""
    curves = {key: np.zeros((len(cases), 256)) for key in ("dice", "sensitivity", "specificity")}
    e_measure, similarity, error = np.zeros((len(cases), 256)), [], []
    for index, (prob, target) in enumerate(cases):
        prob = (prob - prob.min()) / (prob.max() - prob.min())
        e_measure[index] = e_measure_curve(prob, target)
        similarity.append(s_measure(prob, target))
        error.append(mae(prob, target))
        for k in range(256):
            pred = prob >= k / 255
            hit, num_pred, num_target = (pred & target).sum(), pred.sum(), target.sum()
            if hit == 0:
                continue
            num_background = target.size - num_target
            curves["dice"][index, k] = 2 * hit / (num_pred + num_target)
            curves["sensitivity"][index, k] = hit / num_target
            curves["specificity"][index, k] = 1 - (num_pred - hit) / num_background
    means = {f"{key}_mean": curve.mean() for key, curve in curves.items()}
    means |= {f"{key}_max": curve.mean(axis=0).max() for key, curve in curves.items()}
    means |= {"e_measure_mean": e_measure.mean(), "e_measure_max": e_measure.mean(axis=0).max()}
    return means | {"s_measure": np.mean(similarity), "mae": np.mean(error)}


def test_inf_net_follows_the_published_rule() -> None:
    cases = soft_cases()
    summary = fill(InfNetMeter(from_files=True), cases)
    for key, expected in naive_inf_net(cases).items():
        assert summary[key] == pytest.approx(expected, abs=1e-12), key
    assert summary["mae_raw"] == pytest.approx(np.mean([mae(p, t) for p, t in cases]))
    assert summary["empty_target"] == "zero"


def test_inf_net_agrees_with_pysodmetrics_on_image_files() -> None:
    py_sod_metrics = pytest.importorskip("py_sod_metrics", reason="pip install pysodmetrics")
    cases = [case for case in soft_cases(3, 6) if case[1].any()]
    summary = fill(InfNetMeter(from_files=True), cases)
    measures = [py_sod_metrics.Emeasure(), py_sod_metrics.Smeasure(), py_sod_metrics.MAE()]
    dice = py_sod_metrics.FmeasureV2({"dice": py_sod_metrics.DICEHandler(True, False)})
    for prob, target in cases:
        levels = np.rint(255 * prob).astype(np.uint8)
        for measure in (*measures, dice):
            measure.step(levels, target.astype(np.uint8) * 255, normalize=True)
    e_measure, similarity, error = (measure.get_results() for measure in measures)
    assert summary["e_measure_mean"] == pytest.approx(e_measure["em"]["curve"].mean(), abs=1e-6)
    assert summary["e_measure_max"] == pytest.approx(e_measure["em"]["curve"].max(), abs=1e-6)
    assert summary["s_measure"] == pytest.approx(similarity["sm"], abs=1e-6)
    assert summary["mae"] == pytest.approx(error["mae"], abs=1e-6)
    curve = dice.get_results()["dice"]["dynamic"]
    assert summary["dice_mean"] == pytest.approx(curve.mean(), abs=1e-6)
    assert summary["dice_max"] == pytest.approx(curve.max(), abs=1e-6)


def test_inf_net_rounds_a_network_s_map_to_grey_levels_after_the_stretch() -> None:
    # Stretched (0, 1/3, 1): 85 of 255 exactly; (0, 0.3336, 1) is 85.07, which an image keeps as 85.
    prob = np.array([[0.2, 0.2 + 0.3336 * 0.6, 0.8]])
    target = np.array([[False, True, True]])
    saved, exact = InfNetMeter(), InfNetMeter(from_files=True)
    assert saved.as_scored(prob)[0, 1] == 85 / 255
    assert exact.as_scored(prob)[0, 1] == pytest.approx(0.3336)
    assert saved.update(prob, target, "a", "p").raw is prob


def test_a_perfect_map_does_not_reach_1_under_inf_net() -> None:
    # Threshold 0 marks all 80 px of which 9 are lesion: Dice 18/89, specificity 0; else 1.
    summary = fill(InfNetMeter(), [(square(2, 3).astype(np.float32), square(2, 3))])
    assert summary["dice_mean"] == pytest.approx((255 + 18 / 89) / 256)
    assert summary["specificity_mean"] == pytest.approx(255 / 256)
    assert summary["dice_max"] == 1


def test_inf_net_refuses_what_the_stretch_would_hide() -> None:
    for bad in (np.full((8, 10), np.nan), np.linspace(0, 2, 80).reshape(8, 10)):
        with pytest.raises(ValueError, match="case 'a' of patient 'p': prob"):
            InfNetMeter().update(bad, square(1, 1), "a", "p")


def test_native_distances_are_in_mm_where_the_spacing_is_known() -> None:
    # The square is moved by 2 columns: its left side is 2 px = 4 mm from the nearest surface.
    case = [(square(2, 4).astype(np.float32), square(2, 2))]
    in_px = fill(NativeMeter(empty_target="one", tolerance=2.0), case)
    in_mm = fill(NativeMeter(empty_target="one", tolerance=2.0, in_mm=True), case)
    assert (in_px["distance_unit"], in_mm["distance_unit"]) == ("px", "mm")
    assert (in_px["hd95"], in_mm["hd95"]) == (2, 4)
    assert in_px["surface_dice"] == 1
    assert in_mm["surface_dice"] < 1
    assert in_mm["surface_tolerance"] == 2.0


def test_native_refuses_a_case_without_spacing_where_distances_are_in_mm() -> None:
    meter = NativeMeter(empty_target="one", tolerance=1.0, in_mm=True)
    with pytest.raises(ValueError, match=r"case 'a'.*no spacing"):
        meter.update(EMPTY.astype(float), EMPTY, "a", "p")
    assert meter.rows == []


def test_native_summary_pools_lesions_and_volumes() -> None:
    # case0: 2 lesions, 1 found, 1 predicted. case1: 1 lesion found, 2 predicted, 1 false.
    first = square(0, 0) | square(4, 6)
    second = square(4, 6) | square(0, 0)
    cases = [(square(0, 0), first), (second, square(4, 6))]
    summary = fill(
        NativeMeter(empty_target="one", tolerance=1.0),
        [(pred.astype(np.float32), target) for pred, target in cases],
    )
    counts = ("num_lesions", "num_lesions_found", "num_pred_lesions", "num_pred_lesions_false")
    assert [summary[key] for key in counts] == [3, 2, 3, 1]
    assert summary["lesion_f1_pooled"] == pytest.approx(2 / 3)  # 2 of 3 found, 2 of 3 true
    # Of one patient: 18 px of lesion and 9 predicted, 9 px and 18 predicted: 27 against 27.
    assert summary["volume_error"] == pytest.approx((-0.5 + 1.0) / 2)
    assert summary["volume_error_patient"] == 0


@pytest.mark.parametrize("policy", ["one", "zero", "nan"])
def test_native_policy_on_a_healthy_blank_case(policy: str) -> None:
    meter = NativeMeter(empty_target=policy, tolerance=1.0)
    meter.update(EMPTY.astype(np.float32), EMPTY, "healthy", "p")
    row = meter.rows[0]
    expected = {"one": 1.0, "zero": 0.0, "nan": math.nan}[policy]
    for key in ("dice", "iou", "sensitivity", "precision", "surface_dice", "lesion_f1"):
        assert row[key] == pytest.approx(expected, nan_ok=True), key
    diagonal = math.hypot(8, 10)
    worst = {"one": 0.0, "zero": diagonal, "nan": math.nan}[policy]
    assert row["hd95"] == pytest.approx(worst, nan_ok=True)
    assert row["specificity"] == 1


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_s_columns_are_in_its_summary(name: str) -> None:
    protocol = PROTOCOLS[name]
    meter = protocol.create_meter(Rules("one", tolerance=1.0), False)
    summary = fill(meter, soft_cases())
    assert all(set(keys) <= set(summary) for keys in protocol.tables().values())
    assert set(meter.keys) <= set(meter.rows[0])
    assert all(len(rows) == 4 for rows in meter.case_curves().values())


def test_curves_meet_the_scores_at_the_threshold() -> None:
    meter = NativeMeter(empty_target="one", threshold=128 / 255, tolerance=1.0)
    fill(meter, soft_cases())
    curves = meter.case_curves()
    for key in ("dice", "sensitivity", "specificity", "precision"):
        assert curves[key][:, 128] == pytest.approx([row[key] for row in meter.rows]), key
    means = [row["e_measure_mean"] for row in meter.rows]
    assert curves["e_measure"].mean(axis=1) == pytest.approx(means)


def test_thresholds_and_policy_are_the_protocol_s_own_but_for_native() -> None:
    rules = Rules("nan", threshold=0.3, tolerance=1.0)
    assert NATIVE.create_meter(rules, False).rules == rules
    assert INFNET.create_meter(rules, False).rules.empty_target == "zero"
