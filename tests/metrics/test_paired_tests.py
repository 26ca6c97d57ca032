"""The paired comparison of two runs: by hand, against SciPy, and where there is nothing to tell."""

import math

import numpy as np
import pytest
from scipy import stats

from metrics.confidence import Bootstrap, mean_intervals
from metrics.paired_tests import compare_paired, smallest_permutation_p

QUICK = Bootstrap(num_resamples=999)
RNG = np.random.default_rng(0)
DICE_A = RNG.random(40)
DICE_B = np.clip(DICE_A + RNG.normal(0.02, 0.05, 40), 0, 1)


def test_means_and_difference_of_three_cases() -> None:
    found = compare_paired([0.5, 0.6, 0.7], [0.7, 0.9, 0.8], [0, 1, 2])
    assert found.mean_a == pytest.approx(0.6)
    assert found.mean_b == pytest.approx(0.8)
    assert found.difference == pytest.approx(0.2)
    assert (found.num_cases, found.num_left_out, found.num_units) == (3, 0, 3)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        # Signs of 1, 2, 4: only +7 and -7 are as far from 0 as 7 is: 2 of 8.
        ([0.1, 0.2, 0.4], 2 / 8),
        # 4 + 2 - 1 = 5. As far: 7 and 5 and their negatives, 4 of 8.
        ([-0.1, 0.2, 0.4], 4 / 8),
        # 3 + 2 + 2 - 1 = 6. The sum is 8 - 2 s for the s that is flipped, and s <= 1 for {} and
        # {1}: 2 of 16 on either side.
        ([0.3, 0.2, -0.1, 0.2], 4 / 16),
        # A unit that does not differ doubles the signs and the hits alike: 2 of 4.
        ([0.1, 0.0, 0.3], 2 / 4),
        # 1 - 1 = 0: every sum is as far from 0.
        ([0.1, -0.1], 1.0),
        # A single unit: +1 and -1 are equally far.
        ([0.1], 1.0),
        ([0.1, 0.0], 1.0),
    ],
)
def test_the_permutation_p_of_few_units_is_exact(differences: list[float], p: float) -> None:
    values = np.full(len(differences), 0.5)
    found = compare_paired(values, values + differences, np.arange(len(differences)))
    assert found.permutation_p == pytest.approx(p)


def test_a_patient_flips_as_a_whole() -> None:
    # Patients' sums of differences: 0.1 + 0.2 - 0.1 = 0.2, and 0.3: 2 of 4 signs are as far.
    differences = np.array([0.1, 0.2, -0.1, 0.3])
    found = compare_paired(np.full(4, 0.5), 0.5 + differences, ["p", "p", "p", "q"])
    assert found.permutation_p == pytest.approx(0.5)
    assert found.num_units == 2


def test_a_patient_weighs_as_many_cases_as_it_has() -> None:
    # Sums 0.3 (of three cases), -0.2 and -0.2 (of one each): -0.1 in all. Of the eight signs of 3,
    # 2, 2 none is nearer to 0 than 1: p = 1. Means of 0.1, -0.2, -0.2 give -0.3, and p = 4 / 8.
    differences = np.array([0.1, 0.1, 0.1, -0.2, -0.2])
    found = compare_paired(np.full(5, 0.5), 0.5 + differences, list("pppqr"))
    assert found.permutation_p == pytest.approx(1.0)
    assert found.difference == pytest.approx(-0.02)


def test_many_units_draw_signs_that_agree_with_all_of_them() -> None:
    exact = compare_paired(DICE_A[:12], DICE_B[:12], np.arange(12), Bootstrap())
    drawn = compare_paired(DICE_A[:12], DICE_B[:12], np.arange(12), Bootstrap(num_resamples=4_000))
    assert exact.permutation_p * 2**12 == pytest.approx(round(exact.permutation_p * 2**12))
    assert drawn.permutation_p * 4_001 == pytest.approx(round(drawn.permutation_p * 4_001))
    # Standard error of a share p of 4000 draws, doubled for two sides: below 0.016.
    assert drawn.permutation_p == pytest.approx(exact.permutation_p, abs=0.05)


def test_wilcoxon_is_scipys_of_the_cases() -> None:
    found = compare_paired(DICE_A, DICE_B, np.arange(40), QUICK)
    assert found.wilcoxon_p == pytest.approx(stats.wilcoxon(DICE_B, DICE_A).pvalue)


def test_wilcoxon_ranks_the_mean_differences_of_patients() -> None:
    patients = np.minimum(np.arange(40) // 2, 12)  # twelve of 2 cases, one of 16
    means = [(DICE_B - DICE_A)[patients == patient].mean() for patient in range(13)]
    found = compare_paired(DICE_A, DICE_B, patients, QUICK)
    assert found.wilcoxon_p == pytest.approx(stats.wilcoxon(means).pvalue)


def test_wilcoxon_drops_the_cases_that_do_not_differ() -> None:
    a, b = np.append(DICE_A, np.ones(60)), np.append(DICE_B, np.ones(60))
    found = compare_paired(a, b, np.arange(100), QUICK)
    assert found.wilcoxon_p == pytest.approx(stats.wilcoxon(DICE_B, DICE_A).pvalue)


def test_rounding_errors_break_no_ties() -> None:
    # 0.3 - 0.2, 0.2 - 0.1 and 0.8 - 0.7 are the same difference, whatever their last bit.
    a, b = np.array([0.2, 0.1, 0.7, 0.5]), np.array([0.3, 0.2, 0.8, 0.3])
    assert len(set((b - a).tolist())) == 4
    # Ranks 2, 2, 2 and -4: the positive ones sum up to 6, the negative ones to 4. All 16 signs:
    # the smaller sum is at most 4 unless it is 5, which three 2s and a 4 never give: p = 1.
    assert compare_paired(a, b, np.arange(4), QUICK).wilcoxon_p == pytest.approx(1.0)
    # The same of patients, the first of whom has three cases: 0.3 / 3 is 0.1.
    thrice = [0, 0, 0, 1, 2, 3]
    assert compare_paired(a[thrice], b[thrice], thrice, QUICK).wilcoxon_p == pytest.approx(1.0)


def test_differences_that_cancel_out_within_each_patient_are_none() -> None:
    # 0.1 + 0.2 - 0.3 leaves 2.8e-17 in binary arithmetic, for both patients.
    a = np.zeros(6)
    found = compare_paired(a, [0.1, 0.2, -0.3, 0.1, 0.2, -0.3], list("pppqqq"), QUICK)
    assert (found.wilcoxon_p, found.permutation_p) == (1, 1)


def test_the_interval_is_that_of_the_paired_differences() -> None:
    patients = np.arange(40) // 4
    found = compare_paired(DICE_A, DICE_B, patients, QUICK)
    assert found.interval == mean_intervals({"d": DICE_B - DICE_A}, patients, QUICK)["d"]
    assert found.interval.low < found.difference < found.interval.high


def test_pairing_finds_a_difference_far_smaller_than_the_spread() -> None:
    # The spread of Dice is 0.3, ten times the shift, and no matter to the paired figures.
    rng = np.random.default_rng(1)
    a = rng.random(60)
    found = compare_paired(a, a + 0.03 + rng.normal(0, 0.03, 60), np.arange(60))
    assert found.interval.low > 0.015
    assert found.interval.high < 0.045
    assert max(found.wilcoxon_p, found.permutation_p) < 0.001


def test_equal_runs_differ_by_nothing() -> None:
    found = compare_paired(DICE_A, DICE_A, np.arange(40), QUICK)
    assert found.difference == 0
    assert found.interval == (0, 0)
    assert (found.wilcoxon_p, found.permutation_p) == (1, 1)


def test_exchanged_runs_exchange_the_sign_alone() -> None:
    ab = compare_paired(DICE_A, DICE_B, np.arange(40), QUICK)
    ba = compare_paired(DICE_B, DICE_A, np.arange(40), QUICK)
    assert ba.difference == -ab.difference
    assert ba.interval == pytest.approx((-ab.interval.high, -ab.interval.low))
    assert (ba.wilcoxon_p, ba.permutation_p) == (ab.wilcoxon_p, ab.permutation_p)


def test_a_case_without_a_value_in_either_run_is_left_out_of_both() -> None:
    a = [0.5, math.nan, 0.7, 0.1, 0.2]
    b = [0.6, 0.9, math.nan, 0.4, 0.9]
    found = compare_paired(a, b, list("pqqrs"))
    kept = compare_paired([0.5, 0.1, 0.2], [0.6, 0.4, 0.9], [0, 1, 2])
    assert found == kept._replace(num_left_out=2)
    assert found.num_units == 3


def test_no_case_left_has_no_figures() -> None:
    found = compare_paired([math.nan, 0.5], [0.5, math.nan], [0, 1])
    assert (found.interval, found.num_cases, found.num_left_out) == (None, 0, 2)
    assert all(math.isnan(x) for x in (found.mean_a, found.difference, found.wilcoxon_p))
    assert math.isnan(found.permutation_p)


def test_one_patient_has_a_difference_and_no_interval() -> None:
    found = compare_paired([0.5, 0.6], [0.7, 0.9], ["p", "p"])
    assert found.difference == pytest.approx(0.25)
    assert found.interval is None
    assert (found.wilcoxon_p, found.permutation_p) == (1, 1)


@pytest.mark.parametrize(
    ("num_units", "p"), [(0, 1), (1, 1), (2, 1 / 2), (5, 1 / 16), (9, 1 / 256), (10, 2 / 1000)]
)
def test_the_smallest_p_that_units_allow(num_units: int, p: float) -> None:
    # With 999 resamples 2^9 = 512 signs are all tried, 2^10 = 1024 are not.
    assert smallest_permutation_p(num_units, QUICK) == p
    if num_units:
        a = np.random.default_rng(2).random(num_units)
        found = compare_paired(a, a + 1, np.arange(num_units), QUICK)
        assert found.permutation_p == pytest.approx(p)


@pytest.mark.parametrize(
    ("a", "b", "labels"),
    [([0.1], [0.1, 0.2], [0, 1]), ([0.1, 0.2], [0.1, 0.2], [0]), ([[0.1]], [[0.2]], [[0]])],
)
def test_what_is_not_paired_is_refused(a, b, labels) -> None:
    with pytest.raises(ValueError, match="cases for"):
        compare_paired(a, b, labels)
