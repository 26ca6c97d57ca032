"""Finished runs with few labels, grouped by procedure and number of labels, and compared."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluation.results import read_row
from evaluation.scored_run import ScoredRun, read_scored_run
from metrics.confidence import resampling_units
from metrics.paired_tests import compare_paired
from training.run_folder import RunFolder
from utils.config_loader import restore_config
from utils.errors import UserError
from utils.files import parse_json
from utils.yaml_source import load_yaml

BASELINE, FULL = "supervised", "all labels"
UNITS = ("patients", "slices")


class CurveRun(NamedTuple):
    """A scored run.

    Attributes:
        folder: Of the run.
        series: Its procedure; FULL where all labels were there.
        labels: Labelled patients and slices, by unit.
        row: Of its results, as evaluation.results has it.
        scored: Its cases.
    """

    folder: Path
    series: str
    labels: dict[str, int]
    row: dict[str, Any]
    scored: ScoredRun


class Point(NamedTuple):
    """The seeds of one procedure at one number of labels; scores as fractions.

    Attributes:
        series: The procedure.
        number: Of labels.
        seeds: Of its runs.
        mean: Of pooled Dice over the seeds.
        deviation: Standard deviation over the seeds (n - 1); None with one.
        slice_mean: Mean over the seeds of the mean Dice of slices.
        difference: Mean Dice of slices against BASELINE's on the seeds that both have, by patient;
            None without.
        p_patients: Two-sided permutation p by patient, see metrics.paired_tests.
        p_slices: Wilcoxon p by slice, which takes slices of a patient for independent.
        closed: Share of the gap from BASELINE to FULL in pooled Dice that is closed.
    """

    series: str
    number: int
    seeds: tuple[int, ...]
    mean: float
    deviation: float | None
    slice_mean: float
    difference: float | None = None
    p_patients: float | None = None
    p_slices: float | None = None
    closed: float | None = None


def read_run(folder: Path, *, is_full: bool) -> CurveRun:
    """A run that test.py has scored.

    Raises:
        UserError: It has no scores, or was trained by a version that did not count labels.
    """
    run = RunFolder(folder.parent if folder.is_file() else folder)
    try:
        labels = parse_json(run.run_info.read_text(encoding="utf-8"))["labelled"]
        labels = {unit: int(labels[unit]) for unit in UNITS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{run.run_info}: does not count the labelled slices; train the run anew"
        ) from error
    config = restore_config(load_yaml(run.config)[0], run.config)
    series = config.training.procedure
    if series == "self_training":
        series += f", {config.semi_supervised.selection}"
    scored = read_scored_run(run.path)
    return CurveRun(run.path, FULL if is_full else series, labels, read_row(run.path), scored)


def make_points(runs: Sequence[CurveRun], unit: str) -> list[Point]:
    """A point for every procedure and number of labels, in the order of the numbers.

    Raises:
        UserError: Two runs of one seed, or runs scored on other cases.
    """
    groups: dict[tuple[str, int], dict[int, CurveRun]] = {}
    cases = runs[0].scored.cases.keys()
    for run in runs:
        group = groups.setdefault((run.series, run.labels[unit]), {})
        seed = int(run.row["seed"])
        if seed in group:
            raise UserError(
                f"{run.folder}: {run.series} with {run.labels[unit]} {unit} and seed {seed} stands "
                f"twice, the other is {group[seed].folder}; name one of the two"
            )
        if run.scored.cases.keys() != cases or run.scored.conventions != runs[0].scored.conventions:
            raise UserError(
                f"{run.folder}: scored on other cases or in another way than {runs[0].folder}; "
                "score all alike with test.py"
            )
        group[seed] = run
    full = [_pooled(group) for (series, _), group in groups.items() if series == FULL]
    ceiling = float(np.mean(np.concatenate(full))) if full else None
    points = [
        _make_point(series, number, group, groups.get((BASELINE, number), {}), ceiling)
        for (series, number), group in groups.items()
    ]
    return sorted(points, key=lambda point: (point.number, point.series != BASELINE, point.series))


def _make_point(
    series: str,
    number: int,
    group: Mapping[int, CurveRun],
    baseline: Mapping[int, CurveRun],
    ceiling: float | None,
) -> Point:
    pooled, slices = _pooled(group), [run.row["dice"] for run in group.values()]
    deviation = float(pooled.std(ddof=1)) if len(pooled) > 1 else None
    seeds = tuple(sorted(group))
    point = Point(series, number, seeds, float(pooled.mean()), deviation, float(np.mean(slices)))
    shared = sorted(group.keys() & baseline.keys())
    if series in (BASELINE, FULL) or not shared:
        return point
    cases = sorted(group[shared[0]].scored.cases)
    labels, _ = resampling_units([name for name, _ in cases], [who for _, who in cases])
    a, b = _case_means(baseline, shared, cases), _case_means(group, shared, cases)
    by_patient, by_slice = (
        compare_paired(a, b, units) for units in (labels, np.arange(len(cases)))
    )
    floor = float(_pooled(baseline).mean())
    closed = None
    if ceiling is not None and ceiling > floor:
        closed = (point.mean - floor) / (ceiling - floor)
    return point._replace(
        difference=by_patient.difference,
        p_patients=by_patient.permutation_p,
        p_slices=by_slice.wilcoxon_p,
        closed=closed,
    )


def _pooled(group: Mapping[int, CurveRun]) -> np.ndarray:
    return np.array([run.row["dice_pooled"] for run in group.values()], dtype=float)


def _case_means(
    group: Mapping[int, CurveRun], seeds: Sequence[int], cases: Sequence[tuple[str, str]]
) -> np.ndarray:
    """Mean Dice of every case over the seeds, so that no case counts more than once."""
    values = [[group[seed].scored.cases[case]["dice"] for case in cases] for seed in seeds]
    return np.mean(values, axis=0)
