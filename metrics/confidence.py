"""Bootstrap intervals of means over cases: how far a score would move with other patients.

The percentile bootstrap draws as many units as there are, with replacement, and takes the middle
95 % of the statistics of its draws. The unit is the patient where patients are known, and all the
cases of a drawn patient come along: the slices of one scan resemble each other, and drawing them
singly would promise a precision that is not there. All metrics of a table share their draws.

What the interval does not know: it speaks of other patients, not of another training of the network
(take several seeds for that). With few units it is too narrow, because so few values seldom show
the spread they come from; of normal values, an interval called 95 % holds the true mean in 85 % of
all samples of 5 units, in 91 % of 10, in 93 % of 20. Below 10 patients read it as a lower bound on
the uncertainty. Values near the end of their range, such as Dice near 1, make it worse.

Source: Efron & Tibshirani, "An Introduction to the Bootstrap", Chapman & Hall 1993, chapter 13.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Unit = Literal["patient", "case"]
_MAX_DRAWN = 2**20  # unit numbers held at a time: 8 MiB


class Interval(NamedTuple):
    """The two ends of a confidence interval, in the unit of the statistic."""

    low: float
    high: float


@dataclass(frozen=True)
class Bootstrap:
    """How to resample: the seed, the number of draws, the confidence level in (0, 1)."""

    seed: int = 0
    num_resamples: int = 9_999
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.num_resamples < 1:
            raise ValueError(f"num_resamples must be at least 1, got {self.num_resamples}")
        if not 0 < self.level < 1:
            raise ValueError(f"level must lie between 0 and 1, got {self.level}")


DEFAULT_BOOTSTRAP = Bootstrap()


def resampling_units(
    names: Sequence[str], patients: Sequence[str]
) -> tuple[NDArray[np.int64], Unit]:
    """Which cases are drawn together.

    Args:
        names: Name of each case.
        patients: The patient of each case; a case's own name where nobody knows the patient.

    Returns:
        The number of each case's unit, (N,), and what a unit is: "patient" if any patient goes by
        another name than the case, else "case".
    """
    if all(name == patient for name, patient in zip(names, patients, strict=True)):
        return np.arange(len(names)), "case"
    return _renumbered(patients), "patient"


def row_intervals(
    rows: Sequence[Mapping[str, Any]],
    keys: Sequence[str],
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
) -> dict[str, Interval | None]:
    """Intervals of the macro means of a meter's rows.

    Args:
        rows: With name, patient, lesion_px, and the metrics.
        keys: Which metrics.
        bootstrap: How to resample.

    Returns:
        For each key its interval over all cases, and, as `<key>_nonempty`, over the cases with
        lesion. None as in `ratio_intervals`.
    """
    labels, _ = resampling_units([r["name"] for r in rows], [r["patient"] for r in rows])
    empty = np.array([row["lesion_px"] == 0 for row in rows], dtype=bool)
    columns = {key: np.array([row[key] for row in rows], dtype=np.float64) for key in keys}
    nonempty = {f"{key}_nonempty": np.where(empty, np.nan, columns[key]) for key in keys}
    return mean_intervals(columns | nonempty, labels, bootstrap)


def mean_intervals(
    columns: Mapping[str, ArrayLike], labels: ArrayLike, bootstrap: Bootstrap = DEFAULT_BOOTSTRAP
) -> dict[str, Interval | None]:
    """Intervals of macro means: the sum of the drawn cases' values over their number.

    Args:
        columns: Values of N cases by metric; NaN is left out of the sum and of the number.
        labels: (N,) unit of each case, from `resampling_units`.
        bootstrap: How to resample.

    Returns:
        As `ratio_intervals`.

    Raises:
        ValueError: A metric has another number of values than there are labels.
    """
    ratios = {key: (values, np.ones(np.size(values))) for key, values in columns.items()}
    return ratio_intervals(ratios, labels, bootstrap)


def pooled_intervals(
    counts: ArrayLike, labels: ArrayLike, bootstrap: Bootstrap = DEFAULT_BOOTSTRAP
) -> dict[str, Interval | None]:
    """Intervals of the overlap metrics from pooled counts.

    Args:
        counts: (N, 4) counts of each case in the order of `Confusion`.
        labels: (N,) unit of each case.
        bootstrap: How to resample.

    Returns:
        dice_pooled, iou_pooled, sensitivity_pooled, specificity_pooled, precision_pooled; each as
        in `ratio_intervals`.
    """
    table = np.asarray(counts, dtype=np.float64).reshape(-1, 4)
    true_positive, false_positive, false_negative, true_negative = table.T
    num_errors = false_positive + false_negative
    ratios = {
        "dice_pooled": (2 * true_positive, 2 * true_positive + num_errors),
        "iou_pooled": (true_positive, true_positive + num_errors),
        "sensitivity_pooled": (true_positive, true_positive + false_negative),
        "specificity_pooled": (true_negative, true_negative + false_positive),
        "precision_pooled": (true_positive, true_positive + false_positive),
    }
    return ratio_intervals(ratios, labels, bootstrap)


def ratio_intervals(
    ratios: Mapping[str, tuple[ArrayLike, ArrayLike]],
    labels: ArrayLike,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
) -> dict[str, Interval | None]:
    """Intervals of ratios of sums over cases.

    Args:
        ratios: Numerators and denominators of N cases by metric, denominators not negative; a case
            with NaN in either is left out.
        labels: (N,) unit of each case.
        bootstrap: How to resample. Draws whose denominators add up to 0 are left out.

    Returns:
        None for a metric that fewer than two units have a denominator for.

    Raises:
        ValueError: A metric has another number of values than there are labels.
    """
    if np.unique(labels).size < 2 or not ratios:
        return dict.fromkeys(ratios)
    tables = [_ratio_table(key, *ratio, np.size(labels)) for key, ratio in ratios.items()]
    per_unit = _sums_by_unit(np.concatenate(tables, axis=1), labels)
    drawn = _drawn_sums(per_unit, bootstrap)
    enough = np.count_nonzero(per_unit, axis=0)[1::2] > 1
    return {
        key: _interval(drawn[:, 2 * i], drawn[:, 2 * i + 1], bootstrap.level) if enough[i] else None
        for i, key in enumerate(ratios)
    }


def maximum_interval(
    curves: ArrayLike, labels: ArrayLike, bootstrap: Bootstrap = DEFAULT_BOOTSTRAP
) -> Interval | None:
    """Interval of the maximum of the mean curve, the best threshold chosen anew in each draw.

    Args:
        curves: (N, T) a metric's curve of each case; a curve with NaN is left out whole.
        labels: (N,) unit of each case.
        bootstrap: How to resample.

    Returns:
        None if fewer than two units have a curve.

    Raises:
        ValueError: Another number of curves than of labels.
    """
    table = np.asarray(curves, dtype=np.float64)
    kept = ~np.isnan(table).any(axis=1)
    counted = np.where(kept[:, None], np.column_stack([table, kept]), 0.0)
    per_unit = _sums_by_unit(counted, labels)
    if np.count_nonzero(per_unit[:, -1]) < 2:
        return None
    drawn = _drawn_sums(per_unit, bootstrap)
    return _interval(drawn[:, :-1].max(axis=1), drawn[:, -1], bootstrap.level)


def _ratio_table(
    key: str, numerators: ArrayLike, denominators: ArrayLike, num_cases: int
) -> NDArray[np.float64]:
    """Two columns of a ratio, (N, 2), 0 / 0 where either is NaN."""
    table = np.column_stack([numerators, denominators]).astype(np.float64)
    if len(table) != num_cases:
        raise ValueError(f"{key}: {len(table)} values for {num_cases} labels")
    return np.where(np.isnan(table).any(axis=1, keepdims=True), 0.0, table)


def _sums_by_unit(table: NDArray[np.float64], labels: ArrayLike) -> NDArray[np.float64]:
    """(N, C) added up by unit, (U, C)."""
    numbers = _renumbered(labels)
    if len(table) != len(numbers):
        raise ValueError(f"{len(table)} cases for {len(numbers)} labels")
    sums = np.zeros((int(numbers.max(initial=-1)) + 1, table.shape[1]))
    np.add.at(sums, numbers, table)
    return sums


def _renumbered(labels: ArrayLike) -> NDArray[np.int64]:
    """Labels of any kind as numbers from 0, in the labels' own order."""
    return np.unique(np.asarray(labels), return_inverse=True)[1].astype(np.int64)


def _drawn_sums(per_unit: NDArray[np.float64], bootstrap: Bootstrap) -> NDArray[np.float64]:
    """Sums over the units of each draw, (num_resamples, C)."""
    num_units = len(per_unit)
    rng = np.random.default_rng(bootstrap.seed)
    at_a_time = max(1, _MAX_DRAWN // num_units)
    sums = []
    for start in range(0, bootstrap.num_resamples, at_a_time):
        rows = min(at_a_time, bootstrap.num_resamples - start)
        drawn = rng.integers(0, num_units, (rows, num_units))
        drawn += num_units * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * num_units).reshape(rows, num_units)
        sums.append(times.astype(np.float64) @ per_unit)
    return np.concatenate(sums)


def _interval(
    numerators: NDArray[np.float64], denominators: NDArray[np.float64], level: float
) -> Interval | None:
    """The middle of the ratios, over the draws that have one."""
    some = denominators > 0
    if not some.any():
        return None
    ends = np.quantile(numerators[some] / denominators[some], [(1 - level) / 2, (1 + level) / 2])
    return Interval(*ends.tolist())
