"""Bootstrap intervals: against SciPy's, by patient, and whether they hold what they promise."""

import math

import numpy as np
import pytest
from scipy import stats

from metrics.confidence import (
    Bootstrap,
    Interval,
    maximum_interval,
    mean_intervals,
    pooled_intervals,
    resampling_units,
    row_intervals,
)
from metrics.overlap import Confusion

QUICK = Bootstrap(num_resamples=999)


def interval(values, labels, bootstrap: Bootstrap = QUICK) -> Interval | None:
    """Of the mean of one metric."""
    return mean_intervals({"dice": values}, labels, bootstrap)["dice"]


def scipy_ratio(numerators, denominators, bootstrap: Bootstrap) -> tuple[float, float]:
    """SciPy's interval of a ratio of sums over units."""
    return stats.bootstrap(
        (numerators, denominators),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=bootstrap.num_resamples,
        confidence_level=bootstrap.level,
        rng=np.random.default_rng(bootstrap.seed),
    ).confidence_interval


@pytest.mark.parametrize(
    ("num_cases", "bootstrap"),
    [
        (2, QUICK),
        (30, Bootstrap()),
        (30, Bootstrap(seed=5, num_resamples=400, level=0.8)),
        (2_000, Bootstrap(num_resamples=1_200)),  # more than is held at a time
    ],
)
def test_the_interval_of_a_mean_over_cases_is_scipys(num_cases: int, bootstrap: Bootstrap) -> None:
    values = np.random.default_rng(1).random(num_cases)
    expected = stats.bootstrap(
        (values,),
        np.mean,
        method="percentile",
        n_resamples=bootstrap.num_resamples,
        confidence_level=bootstrap.level,
        rng=np.random.default_rng(bootstrap.seed),
    ).confidence_interval
    assert interval(values, np.arange(num_cases), bootstrap) == pytest.approx(expected, abs=1e-12)


def test_by_patient_sums_and_numbers_of_cases_are_drawn_together() -> None:
    rng = np.random.default_rng(2)
    patients = rng.integers(0, 8, 50)
    values = np.where(rng.random(50) < 0.2, np.nan, rng.random(50))
    sums = np.array([np.nansum(values[patients == p]) for p in range(8)])
    counts = np.array([np.count_nonzero(~np.isnan(values[patients == p])) for p in range(8)])
    expected = scipy_ratio(sums, counts, QUICK)
    assert interval(values, patients) == pytest.approx(expected, abs=1e-12)


def test_two_cases_give_their_mean_or_one_of_them() -> None:
    # Draws of two: both the first (1 of 4), one of each (2 of 4), both the second (1 of 4). The
    # middle 95 % reaches the ends, the middle 40 % holds the mean alone.
    assert interval([0.2, 0.6], [0, 1]) == pytest.approx((0.2, 0.6))
    middle = interval([0.2, 0.6], [0, 1], Bootstrap(level=0.4))
    assert middle == pytest.approx((0.4, 0.4))


def test_an_interval_called_95_per_cent_holds_the_truth_about_as_often() -> None:
    samples = np.random.default_rng(3).normal(0.7, 0.1, (200, 40))
    found = mean_intervals({str(i): v for i, v in enumerate(samples)}, np.arange(40), QUICK)
    assert 180 <= sum(low <= 0.7 <= high for low, high in found.values()) <= 198  # 90 to 99 %


def test_few_patients_make_the_interval_hold_the_truth_less_often() -> None:
    samples = np.random.default_rng(3).normal(0.7, 0.1, (400, 5))
    found = mean_intervals({str(i): v for i, v in enumerate(samples)}, np.arange(5), QUICK)
    assert 320 <= sum(low <= 0.7 <= high for low, high in found.values()) <= 356  # 80 to 89 %


def test_slices_that_resemble_each_other_widen_the_interval() -> None:
    # 10 patients of 4 equal slices say no more than 10 cases, so the width by patient is that of
    # 10 values; 40 cases taken for independent have half of it, sqrt(10 / 40).
    of_patients = np.random.default_rng(4).random(10)
    values, patients = np.repeat(of_patients, 4), np.repeat(np.arange(10), 4)
    by_patient, by_case = interval(values, patients), interval(values, np.arange(40))
    assert by_patient == pytest.approx(interval(of_patients, np.arange(10)), abs=1e-12)
    assert (by_case.high - by_case.low) / (by_patient.high - by_patient.low) == pytest.approx(
        0.5, abs=0.05
    )


def test_by_patient_the_order_of_the_cases_does_not_matter() -> None:
    values, labels = np.random.default_rng(5).random(12), np.repeat(["q", "p", "r"], 4)
    order = np.random.default_rng(6).permutation(12)
    shuffled = interval(values[order], labels[order])
    assert shuffled == pytest.approx(interval(values, labels), abs=1e-12)


def test_the_seed_decides_the_draws() -> None:
    values, labels = np.random.default_rng(7).random(20), np.arange(20)
    assert interval(values, labels) == interval(values, labels)
    assert interval(values, labels) != interval(values, labels, Bootstrap(1, 999))


def test_a_metric_has_the_interval_that_it_has_alone() -> None:
    rng = np.random.default_rng(8)
    columns = {"dice": rng.random(15), "hd95": np.where(rng.random(15) < 0.5, np.nan, 9.0)}
    together = mean_intervals(columns, np.arange(15), QUICK)
    assert together == {key: interval(values, np.arange(15)) for key, values in columns.items()}
    assert together["hd95"] == (9.0, 9.0)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([], []),
        ([0.5], [0]),
        ([0.5, 0.7, 0.9], ["p", "p", "p"]),
        ([math.nan, math.nan], [0, 1]),
        ([0.5, math.nan, 0.7], ["p", "q", "p"]),
    ],
    ids=["no case", "one case", "one patient", "no value", "values of one patient"],
)
def test_fewer_than_two_units_with_a_value_have_no_interval(values, labels) -> None:
    assert interval(values, labels) is None


def test_draws_without_a_value_are_left_out() -> None:
    # Of 20 units two have a value: about (18 / 20)^20 = 12 % of all draws hold neither.
    values = np.full(20, np.nan)
    values[[3, 11]] = 0.2, 0.6
    assert interval(values, np.arange(20)) == pytest.approx((0.2, 0.6))


def test_pooled_intervals_are_ratios_of_summed_counts() -> None:
    table = np.random.default_rng(9).integers(1, 90, (12, 4))
    tp, fp, fn, tn = table.T
    expected = {
        "dice_pooled": scipy_ratio(2 * tp, 2 * tp + fp + fn, QUICK),
        "iou_pooled": scipy_ratio(tp, tp + fp + fn, QUICK),
        "sensitivity_pooled": scipy_ratio(tp, tp + fn, QUICK),
        "specificity_pooled": scipy_ratio(tn, tn + fp, QUICK),
        "precision_pooled": scipy_ratio(tp, tp + fp, QUICK),
    }
    found = pooled_intervals([Confusion(*row) for row in table.tolist()], np.arange(12), QUICK)
    assert found.keys() == expected.keys()
    for key, ends in expected.items():
        assert found[key] == pytest.approx(ends, abs=1e-12), key


def test_draws_of_slices_without_lesion_alone_are_left_out() -> None:
    counts = [(0, 0, 0, 16)] * 3 + [(4, 0, 0, 12)] * 2
    assert pooled_intervals(counts, np.arange(5), QUICK)["dice_pooled"] == (1.0, 1.0)
    assert pooled_intervals([(0, 0, 0, 16)] * 3, np.arange(3), QUICK)["dice_pooled"] is None


def test_the_maximum_of_the_mean_curve_chooses_its_threshold_in_each_draw() -> None:
    curves = np.random.default_rng(10).random((15, 6))
    expected = stats.bootstrap(
        (np.arange(15),),
        lambda drawn, axis: curves[drawn].mean(axis=-2).max(axis=-1),
        vectorized=True,
        method="percentile",
        n_resamples=999,
        rng=np.random.default_rng(0),
    ).confidence_interval
    found = maximum_interval(curves, np.arange(15), QUICK)
    assert found == pytest.approx(expected, abs=1e-12)
    assert maximum_interval(curves[:, :1], np.arange(15), QUICK) == pytest.approx(
        interval(curves[:, 0], np.arange(15))
    )


def test_a_curve_with_nan_is_left_out_whole() -> None:
    curves = np.array([[0.2, 0.3], [0.5, 0.1], [0.9, math.nan]])
    # Means of two curves drawn from the first two: [.2, .3], [.35, .2] or [.5, .1].
    assert maximum_interval(curves, [0, 1, 2], QUICK) == pytest.approx((0.3, 0.5))
    assert maximum_interval(curves[1:], [0, 1], QUICK) is None


@pytest.mark.parametrize(
    ("names", "patients", "labels", "unit"),
    [
        (["a0", "a1", "b0"], ["a", "a", "b"], [0, 0, 1], "patient"),
        (["x", "a0", "a1"], ["x", "a", "a"], [1, 0, 0], "patient"),
        (["b", "a", "c"], ["b", "a", "c"], [0, 1, 2], "case"),
    ],
    ids=["known", "some known", "unknown"],
)
def test_the_unit_is_the_patient_where_any_is_known(names, patients, labels, unit) -> None:
    found = resampling_units(names, patients)
    assert (found[0].tolist(), found[1]) == (labels, unit)


def test_the_rows_of_a_meter_give_all_cases_and_those_with_lesion() -> None:
    rng = np.random.default_rng(11)
    rows = [
        {
            "name": f"p{i // 4}_z{i}",
            "patient": f"p{i // 4}",
            "lesion_px": i % 3,
            "dice": d,
            "mae": m,
        }
        for i, (d, m) in enumerate(rng.random((24, 2)))
    ]
    patients = np.arange(24) // 4
    found = row_intervals(rows, ["dice", "mae"], QUICK)
    assert list(found) == ["dice", "mae", "dice_nonempty", "mae_nonempty"]
    assert mean_intervals({}, patients) == {}
    for key in ("dice", "mae"):
        values = np.array([row[key] for row in rows])
        nonempty = np.where(np.arange(24) % 3 == 0, np.nan, values)
        assert found[key] == interval(values, patients)
        assert found[f"{key}_nonempty"] == interval(nonempty, patients)
        assert found[key] != found[f"{key}_nonempty"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"num_resamples": 0}, "num_resamples"), ({"level": 1.0}, "level"), ({"level": 0}, "level")],
)
def test_settings_that_make_no_interval_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bootstrap(**settings)


def test_values_and_labels_of_different_cases_are_refused() -> None:
    with pytest.raises(ValueError, match="dice: 3 values for 2 labels"):
        interval([0.1, 0.2, 0.3], [0, 1])
    with pytest.raises(ValueError, match="mae: 1 values for 2 labels"):
        mean_intervals({"dice": [0.1, 0.2], "mae": [0.3]}, [0, 1])
    with pytest.raises(ValueError, match="1 cases for 2 labels"):
        maximum_interval(np.ones((1, 4)), [0, 1])
    with pytest.raises(ValueError, match="zip"):
        resampling_units(["a", "b"], ["a"])
