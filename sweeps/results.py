"""The CSV of a sweep: a row per finished run, with its score, its origin and its paired test."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluation.results import RESULTS, read_row
from evaluation.scored_run import ScoredRun, read_scored_run
from evaluation.second_masks import FOLDER as SECOND_MASKS
from metrics.confidence import mean_intervals, resampling_units
from metrics.paired_tests import compare_paired
from metrics.registry import METRICS, dice_variants
from sweeps.plan import Run
from sweeps.record import SCORES, Record
from utils.errors import UserError
from utils.files import parse_json, read_rows, write_rows

METRIC = "dice"  # of intervals and paired tests
_CONVENTIONS = ("split", "protocol", "n", "n_patients", "threshold", "empty_target")
PACKAGES = ("torch", "torchvision", "timm", "numpy")
KEY = ("row", "data", "seed")
REFERENCE = "second_annotator"  # a row of the CSV beside those of the sweep
Key = tuple[str, str, str]


class Finished(NamedTuple):
    """A finished run with its record."""

    run: Run
    record: Record


def results_file(name: str, size: str, folder: Path = RESULTS) -> Path:
    """The CSV of a sweep at a size."""
    return folder / f"{name}_{size}.csv"


def collect(finished: Sequence[Finished], baseline: str, file: Path) -> list[dict[str, Any]]:
    """Write the CSV of one sweep from its run folders; rows of runs that lie elsewhere stay.

    Args:
        finished: Its finished runs, in the order of the plan.
        baseline: The row that the others are compared with.
        file: The CSV; is left as it is where there is nothing to write.

    Raises:
        UserError: The scores of a run are damaged, or the CSV is.
    """
    rows = {key_of(row): row for row in (read_rows(file) if file.is_file() else [])}
    scored = {item.run.folder.path: read_scored_run(item.run.folder.path) for item in finished}
    groups: dict[tuple[str, str], dict[int, ScoredRun]] = {}
    for run, _ in finished:
        groups.setdefault((run.row, run.data), {})[run.seed] = scored[run.folder.path]
    compared = {
        (row, data): compare_with_baseline(seeds, groups.get((baseline, data), {}))
        for (row, data), seeds in groups.items()
    }
    fresh = {key_of(row): row for row in _reference_rows(finished)}
    for item in finished:
        row = _row(item) | compared[item.run.row, item.run.data]
        fresh[key_of(row)] = row
    # A group that is not here as a whole keeps what was written where it was.
    gone = {key[:2] for key in rows.keys() - fresh.keys()}
    for key, row in fresh.items():
        is_partial = bool(gone & {key[:2], (baseline, key[1])})
        rows[key] = rows[key] if is_partial and key in rows else row
    if rows:
        file.parent.mkdir(parents=True, exist_ok=True)
        columns = dict.fromkeys(column for row in rows.values() for column in row)
        write_rows(file, [{c: row.get(c) for c in columns} for row in rows.values()])
    return list(rows.values())


def key_of(row: Mapping[str, Any]) -> Key:
    """What a row is of: row of the table, data set, seed.

    Raises:
        UserError: It is no row of a sweep.
    """
    try:
        return tuple(str(row[key]) for key in KEY)
    except KeyError as error:
        raise UserError(f"no column {error.args[0]}: no results of a sweep") from error


def _row(item: Finished) -> dict[str, Any]:
    """A run as a row: what was planned, its score, what it took."""
    run, record = item
    info_file = run.folder.run_info
    try:
        info = parse_json(info_file.read_text(encoding="utf-8"))
        versions = {f"version_{name}": info["packages"].get(name) for name in PACKAGES}
        return {
            "sweep": run.sweep,
            "sweep_size": run.size,
            "row": run.row,
            "data": run.data,
            **read_row(run.folder.path),
            "epochs": info["epochs"],
            "train_seconds": info["train_seconds"] + _seconds_of_stages(info_file),
            "seconds": record.seconds,
            "num_threads": info["hardware"]["num_threads"],
            "data_fingerprint": record.data,
            "settings_fingerprint": record.settings,
            "version_python": info["python"],
            **versions,
        }
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{info_file}: cannot be read ({error}); remove the folder to run it anew"
        ) from error


def _seconds_of_stages(info_file: Path) -> float:
    """What the runs within a run took, such as the rounds of self-training."""
    stages = info_file.parent.glob(f"*/{info_file.name}")
    return sum(parse_json(one.read_text(encoding="utf-8"))["train_seconds"] for one in stages)


def _reference_rows(finished: Sequence[Finished]) -> list[dict[str, Any]]:
    """What a second annotator scores on a data set, where one has been compared."""
    rows = {}
    for run, record in finished:
        path = run.folder.path / SECOND_MASKS / SCORES
        if run.data in rows or not path.is_file():
            continue
        scores = parse_json(path.read_text(encoding="utf-8"))
        size, columns = scores["scored_at"], (*_CONVENTIONS, *METRICS, *dice_variants())
        rows[run.data] = {
            **{"sweep": run.sweep, "sweep_size": run.size, "row": REFERENCE, "data": run.data},
            **{"seed": "", "size": f"{size[0]} x {size[1]}" if size else "own"},
            "data_fingerprint": record.data,
            **{key: scores[key] for key in columns if key in scores},
        }
    return list(rows.values())


def compare_with_baseline(
    own: Mapping[int, ScoredRun], baseline: Mapping[int, ScoredRun]
) -> dict[str, Any]:
    """What stands in every row of a group: Dice of its seeds together against the baseline's.

    Each case's Dice is averaged over the seeds first, so that no case counts twice. The interval is
    of the group's mean; the difference and its p-values are of the seeds that both have.

    Args:
        own: Of the group, by seed.
        baseline: The same of the baseline; the same runs for the baseline itself.
    """
    cases = sorted(next(iter(own.values())).cases)
    units, unit = resampling_units([name for name, _ in cases], [who for _, who in cases])
    interval = mean_intervals({METRIC: _means(own, own, cases)}, units)[METRIC] or (None, None)
    result = {
        "group_low": interval[0],
        "group_high": interval[1],
        "group_unit": unit,
        "paired_seeds": None,
        "paired_difference": None,
        "paired_p": None,
        "paired_p_slices": None,
    }
    shared = own.keys() & baseline.keys()
    is_comparable = all(sorted(baseline[seed].cases) == cases for seed in shared)
    if not shared or not is_comparable or own == baseline:
        return result
    a, b = _means(baseline, shared, cases), _means(own, shared, cases)
    by_unit, by_slice = (compare_paired(a, b, labels) for labels in (units, np.arange(len(cases))))
    return result | {
        "paired_seeds": len(shared),
        "paired_difference": by_unit.difference,
        "paired_p": by_unit.permutation_p,
        "paired_p_slices": by_slice.wilcoxon_p,
    }


def _means(
    runs: Mapping[int, ScoredRun], seeds: Iterable[int], cases: Sequence[tuple[str, str]]
) -> np.ndarray:
    """Mean over the seeds of each case's Dice; NaN where a seed has none."""
    values = [[runs[seed].cases[case][METRIC] for case in cases] for seed in sorted(seeds)]
    return np.mean(values, axis=0)
