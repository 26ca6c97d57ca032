"""A pass over cases: meter, pictures and, on request, maps as files; then what it came to."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.cases import Case
from metrics.case import Rules, ScoredCase
from metrics.confidence import (
    DEFAULT_BOOTSTRAP,
    maximum_interval,
    pooled_intervals,
    resampling_units,
    row_intervals,
)
from metrics.meter import CurveMeter, Meter, confusion_of_row
from metrics.protocols import Protocol
from utils.config import EvaluationConfig
from utils.errors import UserError

# Gets a case, and it as it was scored: with the map as the protocol sees it, and the prediction.
Viewer = Callable[[Case, ScoredCase], None]


class Evaluation(NamedTuple):
    """What an evaluation came to.

    Attributes:
        meter: Rows, curves, and how maps were seen.
        summary: Meter.summary() with protocol, intervals and speed; fractions.
        curves: Macro means over the cases at 256 rising thresholds, by metric.
        lungs: Rows of the lung head, of the slices with a lung mask; without any where there is no
            trained lung head.
    """

    meter: CurveMeter
    summary: dict[str, Any]
    curves: dict[str, NDArray[np.float64]]
    lungs: Meter

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The meter's rows; with lung_<metric>, NaN without a lung mask, where any has one."""
        lungs = {row["name"]: row for row in self.lungs.rows}
        if not lungs:
            return self.meter.rows
        keys, unknown = self.lungs.keys, dict.fromkeys(self.lungs.keys, math.nan)
        return [
            row | {f"lung_{key}": lungs.get(row["name"], unknown)[key] for key in keys}
            for row in self.meter.rows
        ]


def build_meter(
    protocol: Protocol, settings: EvaluationConfig, *, has_spacing: bool, from_files: bool = False
) -> CurveMeter:
    """The protocol's meter.

    Args:
        protocol: How to score.
        settings: Policy, threshold, tolerances.
        has_spacing: Whether every case has a spacing; else distances are in px.
        from_files: Whether the maps come from image files.
    """
    rules = Rules(
        empty_target=settings.empty_target,
        threshold=settings.threshold,
        tolerance=settings.tolerance_mm if has_spacing else settings.tolerance_px,
        in_mm=has_spacing,
    )
    return protocol.create_meter(rules, from_files)


def evaluate_cases(
    cases: Iterable[Case], protocol: Protocol, meter: CurveMeter, viewers: Sequence[Viewer] = ()
) -> Evaluation:
    """Score cases one by one; none is kept.

    Lungs are scored as they are, at the threshold of the lesion, whatever the protocol.

    Args:
        cases: To score.
        protocol: How.
        meter: The protocol's, without a case.
        viewers: Get every case.

    Raises:
        UserError: A case cannot be scored; names it.
    """
    sizes, seconds = set(), 0.0
    lungs = Meter(empty_target=meter.rules.empty_target, threshold=meter.threshold)
    for case in cases:
        start = time.perf_counter()
        try:
            scored = meter.update(case.prob, case.target, case.name, case.patient, case.spacing)
            if case.lung is not None:
                lungs.update(*case.lung, case.name, case.patient)
        except ValueError as error:
            raise UserError(str(error)) from error
        seconds += time.perf_counter() - start
        sizes.add(case.target.shape)
        for view in viewers:
            view(case, scored)
    summary = meter.summary()
    summary |= score_intervals(meter, summary)
    summary |= {
        "protocol": protocol.name,
        "scored_at": list(sizes.pop()) if len(sizes) == 1 else None,
        "milliseconds_per_case_in_metrics": round(1e3 * seconds / summary["n"], 2),
    }
    if lungs.rows:
        summary["lung"] = lungs.summary()
        summary["lung"] |= score_intervals(lungs, summary["lung"])
    return Evaluation(meter, summary, mean_curves(meter), lungs)


def mean_curves(meter: CurveMeter) -> dict[str, NDArray[np.float64]]:
    """Macro means of the cases' curves, (256,) each, without NaN."""
    means = {}
    for key, curves in meter.case_curves().items():
        is_known = ~np.isnan(curves)
        total = np.where(is_known, curves, 0).sum(axis=0)
        means[key] = np.divide(
            total,
            is_known.sum(axis=0),
            out=np.full(total.shape, np.nan),
            where=is_known.any(axis=0),
        )
    return means


def score_intervals(meter: Meter, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Bootstrap intervals of the summary's scores, and how they were taken.

    Returns:
        intervals: [low, high] by key of the summary, None where there is none; interval_unit,
        "patient" or "case"; interval_level; num_resamples; interval_seed.
    """
    rows, bootstrap = meter.rows, DEFAULT_BOOTSTRAP
    labels, unit = resampling_units([r["name"] for r in rows], [r["patient"] for r in rows])
    intervals = row_intervals(rows, meter.keys, bootstrap)
    pooled = pooled_intervals([confusion_of_row(row) for row in rows], labels, bootstrap)
    intervals |= {key: interval for key, interval in pooled.items() if key in summary}
    for key, curves in meter.case_curves().items():
        if f"{key}_max" in summary:
            intervals[f"{key}_max"] = maximum_interval(curves, labels, bootstrap)
    return {
        "intervals": {key: list(i) if i else None for key, i in intervals.items()},
        "interval_unit": unit,
        "interval_level": bootstrap.level,
        "num_resamples": bootstrap.num_resamples,
        "interval_seed": bootstrap.seed,
    }
