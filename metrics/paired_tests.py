"""Two runs on the same cases: is the difference of a metric more than chance?

Every figure is paired: a case is compared with itself, and whole units, patients where they are
known, are resampled, ranked or flipped.

- Interval of the difference: percentile bootstrap over units, see `metrics.confidence`.
- Wilcoxon signed-rank test of the units' mean differences, two-sided. Units without a difference
  are dropped, as Wilcoxon did (zero_method "wilcox"); exact up to 50 units unless differences tie,
  with ties exact up to 13, the normal approximation otherwise (method "auto" of SciPy).
- Permutation test of the mean difference, two-sided: were the runs alike, each unit's difference
  could as well have the other sign. All 2^n signs of the n units that differ where that is at most
  the number of resamples, else that many random ones.

No p-value is corrected for the number of metrics, and none of them knows how a run of another seed
would have ended.

Source: Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1 (1945) 80-83;
Ernst, "Permutation methods: a basis for exact inference", Statistical Science 19 (2004) 676-685.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from metrics.confidence import DEFAULT_BOOTSTRAP, Bootstrap, Interval, mean_intervals

# Finer differences are rounding errors, which must not break a tie of ranks.
_DECIMALS = 10
_MAX_SIGNS = 2**20  # signs of units held at a time


class PairedComparison(NamedTuple):
    """One metric of two runs; NaN where no case is left.

    Attributes:
        mean_a: Macro mean of run A over the cases that both runs have a value for.
        mean_b: The same of run B.
        difference: mean_b - mean_a.
        interval: Of the difference; None with fewer than two units.
        wilcoxon_p: 1 where no unit differs.
        permutation_p: 1 where no unit differs.
        num_cases: Cases compared.
        num_left_out: Cases with NaN in either run.
        num_units: Units of the cases compared.
    """

    mean_a: float
    mean_b: float
    difference: float
    interval: Interval | None
    wilcoxon_p: float
    permutation_p: float
    num_cases: int
    num_left_out: int
    num_units: int


def compare_paired(
    values_a: ArrayLike,
    values_b: ArrayLike,
    labels: ArrayLike,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
) -> PairedComparison:
    """Compares one metric of two runs, case by case.

    Args:
        values_a: (N,) of run A; NaN in either run leaves a case out of both.
        values_b: (N,) of run B, the same cases in the same order.
        labels: (N,) unit of each case, from `metrics.resampling_units`.
        bootstrap: Seed and number of resamples of interval and permutation test; level.

    Raises:
        ValueError: The three differ in length.
    """
    a, b = np.asarray(values_a, dtype=np.float64), np.asarray(values_b, dtype=np.float64)
    units = np.asarray(labels)
    if not a.shape == b.shape == units.shape == (a.size,):
        raise ValueError(f"values of {a.shape} and {b.shape} cases for {units.shape} labels")
    kept = ~np.isnan(a + b)
    a, b, units = a[kept], b[kept], units[kept]
    if not a.size:
        return PairedComparison(*[np.nan] * 3, None, np.nan, np.nan, 0, len(kept), 0)
    interval = mean_intervals({"difference": b - a}, units, bootstrap)["difference"]
    names, unit_of_case, sizes = np.unique(units, return_inverse=True, return_counts=True)
    sums = np.round(np.bincount(unit_of_case, weights=b - a), _DECIMALS)
    return PairedComparison(
        mean_a=float(a.mean()),
        mean_b=float(b.mean()),
        difference=float((b - a).mean()),
        interval=interval,
        wilcoxon_p=_wilcoxon_p(np.round(sums / sizes, _DECIMALS)),
        permutation_p=_permutation_p(sums, bootstrap),
        num_cases=a.size,
        num_left_out=len(kept) - a.size,
        num_units=len(names),
    )


def smallest_permutation_p(num_units: int, bootstrap: Bootstrap = DEFAULT_BOOTSTRAP) -> float:
    """The p-value of units that all differ in one direction: no data can give a smaller one.

    2 / 2^n where all signs are tried; 2 / (num_resamples + 1) where they are drawn.
    """
    if num_units < 1:
        return 1.0
    if 2**num_units <= bootstrap.num_resamples:
        return 2 / 2**num_units
    return 2 / (bootstrap.num_resamples + 1)


def _wilcoxon_p(differences: NDArray[np.float64]) -> float:
    """Of the units that differ; 1 without one."""
    differing = differences[differences != 0]
    return float(stats.wilcoxon(differing).pvalue) if differing.size else 1.0


def _permutation_p(sums: NDArray[np.float64], bootstrap: Bootstrap) -> float:
    """Of the sum over the units that differ; 1 for a single one, whose sign says nothing."""
    differing = sums[sums != 0]
    if differing.size < 2:
        return 1.0
    test = stats.permutation_test(
        (differing,),
        np.sum,
        vectorized=True,
        permutation_type="samples",
        n_resamples=bootstrap.num_resamples,
        batch=max(1, _MAX_SIGNS // differing.size),
        rng=np.random.default_rng(bootstrap.seed),
    )
    return float(test.pvalue)
