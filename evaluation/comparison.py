"""Two scored runs side by side: differences, their intervals and p-values, metric by metric."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from evaluation.scored_run import Case, ScoredRun, read_scored_run
from metrics.confidence import DEFAULT_BOOTSTRAP, Bootstrap, Unit, resampling_units
from metrics.paired_tests import PairedComparison, compare_paired, smallest_permutation_p
from metrics.registry import METRICS, MISSING, Metric
from utils.errors import UserError
from utils.files import write_json
from utils.messages import count

_NUM_SHOWN = 3  # cases named in a message
_FEW_UNITS = 10


@dataclass(frozen=True)
class Comparison:
    """Run B against run A on the same cases.

    Attributes:
        run_a: Folder of the scores of A.
        run_b: The same of B.
        conventions: What both were scored by.
        unit: What is resampled.
        num_cases: Cases of either run.
        num_units: Patients, or cases again.
        bootstrap: Seed, number of resamples, level.
        metrics: By key, fractions or distances.
        derived_lungs: A, B or both: trained with lung masks of the built-in segmentation.
    """

    run_a: str
    run_b: str
    conventions: dict[str, Any]
    unit: Unit
    num_cases: int
    num_units: int
    bootstrap: Bootstrap
    metrics: dict[str, PairedComparison]
    derived_lungs: tuple[str, ...] = ()


def compare_runs(
    run_a: Path,
    run_b: Path,
    unit: Literal["auto", "patient", "case"] = "auto",
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
) -> Comparison:
    """Compares every metric of the runs' protocol.

    Args:
        run_a: Folder of metrics.json and per_case.csv, or a file in it, such as the checkpoint.
        run_b: The same of the other run.
        unit: What to resample; "auto" takes the patient where patients are known.
        bootstrap: How to resample.

    Raises:
        UserError: No scores, damaged ones, other cases, metrics or conventions in B than in A, or
            unit "patient" where no patient is known.
    """
    a, b = read_scored_run(run_a), read_scored_run(run_b)
    _check_comparable(a, b)
    cases = sorted(a.cases)
    labels, known = resampling_units([name for name, _ in cases], [who for _, who in cases])
    if unit == "patient" and known == "case":
        raise UserError(f"{a.table}: names no patients; compare by case")
    if unit == "case":
        labels, known = np.arange(len(cases)), "case"
    metrics = {
        key: compare_paired(
            [a.cases[case][key] for case in cases],
            [b.cases[case][key] for case in cases],
            labels,
            bootstrap,
        )
        for key in a.keys
    }
    return Comparison(
        run_a=str(a.folder),
        run_b=str(b.folder),
        conventions=a.conventions,
        unit=known,
        num_cases=len(cases),
        num_units=len(np.unique(labels)),
        bootstrap=bootstrap,
        metrics=metrics,
        derived_lungs=tuple(name for name, run in (("A", a), ("B", b)) if run.derived_lungs),
    )


def format_comparison(comparison: Comparison) -> str:
    """The table for a terminal, with what its figures mean under it."""
    unit = comparison.conventions.get("distance_unit", "px")
    level = f"{100 * comparison.bootstrap.level:g} % interval"
    heads = ("n", "A", "B", "B - A", level, "Wilcoxon p", "permutation p")
    lines = [f"A  {comparison.run_a}", f"B  {comparison.run_b}", _line("", heads)]
    for key, paired in comparison.metrics.items():
        lines.append(_line(METRICS[key].label(unit), _cells(paired, METRICS[key])))
    return "\n".join([*lines, *_notes(comparison)])


def save_comparison(comparison: Comparison, path: Path) -> None:
    """Write every figure as JSON, fractions as fractions.

    Raises:
        UserError: The file cannot be written.
    """
    content = vars(comparison) | {
        "bootstrap": vars(comparison.bootstrap),
        "smallest_permutation_p": smallest_permutation_p(
            comparison.num_units, comparison.bootstrap
        ),
        "metrics": {key: paired._asdict() for key, paired in comparison.metrics.items()},
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def _line(label: str, cells: tuple[str, ...]) -> str:
    """One line of the table."""
    widths = (6, 9, 9, 9, 18, 12, 15)
    return f"{label:<16}" + "".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))


def _cells(paired: PairedComparison, metric: Metric) -> tuple[str, ...]:
    """The figures of one metric."""
    interval = MISSING
    if paired.interval is not None:
        interval = f"[{', '.join(metric.format(end, sign='+') for end in paired.interval)}]"
    means = (metric.format(mean) for mean in (paired.mean_a, paired.mean_b))
    p_values = (_p_value(p) for p in (paired.wilcoxon_p, paired.permutation_p))
    difference = metric.format(paired.difference, sign="+")
    return (str(paired.num_cases), *means, difference, interval, *p_values)


def _p_value(p: float) -> str:
    """Three decimals; a dash for NaN."""
    return MISSING if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def _notes(comparison: Comparison) -> list[str]:
    """The conventions of the table."""
    told = ", ".join(f"{key} {value}" for key, value in comparison.conventions.items())
    bootstrap = comparison.bootstrap
    units = count(comparison.num_units, comparison.unit)
    smallest = smallest_permutation_p(comparison.num_units, bootstrap)
    notes = [
        f"scored by {told}",
        "fractions in %; n without the cases that have no value in A or B",
        f"{comparison.num_cases} cases, resampled by {comparison.unit} ({units}), "
        f"{bootstrap.num_resamples:,} resamples, seed {bootstrap.seed}",
        f"p two-sided, uncorrected for the number of metrics ({len(comparison.metrics)}); the "
        f"smallest permutation p that {units} can give is {smallest:.3g}",
    ]
    if derived := comparison.derived_lungs:
        notes.append(
            f"{' and '.join(derived)}: trained with lung masks derived by the built-in segmentation"
        )
    if comparison.num_units < _FEW_UNITS:
        notes.append(f"with as few as {units} the intervals are too narrow")
    return notes


def _check_comparable(a: ScoredRun, b: ScoredRun) -> None:
    """Equal conventions, equal cases, equal metrics."""
    both = f"{a.folder} and {b.folder}"
    for key in a.conventions | b.conventions:
        first, second = a.conventions.get(key), b.conventions.get(key)
        if first != second:
            raise UserError(f"{both}: {key} is {first} and {second}; score both alike with test.py")
    if a.cases.keys() != b.cases.keys():
        only_a = _some_cases(a.cases.keys() - b.cases.keys())
        only_b = _some_cases(b.cases.keys() - a.cases.keys())
        raise UserError(
            f"{both}: other cases; only in the first {only_a}, only in the second {only_b}; "
            "score both on the same split"
        )
    for run, other in ((a, b), (b, a)):
        lost = [key for key in other.keys if key not in run.keys]
        if lost:
            raise UserError(
                f"{run.table}: no column {lost[0]}, which {other.folder} has; run test.py again"
            )


def _some_cases(cases: set[Case]) -> str:
    """How many cases, and the first of them."""
    first = [f"{name} of {patient}" for name, patient in sorted(cases)[:_NUM_SHOWN]]
    more = ", ..." if len(cases) > _NUM_SHOWN else ""
    return f"{len(cases)} ({', '.join(first)}{more})" if first else "0"
