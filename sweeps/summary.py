"""The rows of a sweep's CSV put together: each row of the table with its seeds, best and second."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

from metrics.registry import column
from sweeps.results import REFERENCE, Key, key_of
from sweeps.specification import Sweep
from utils.errors import UserError, suggestion
from utils.files import read_rows
from utils.messages import shown

CsvRow = Mapping[str, str]
_ONE_OF_A_TABLE = ("data_fingerprint", "protocol", "threshold", "empty_target", "n", "size")


class Score(NamedTuple):
    """A metric over the seeds: fractions or distances; the deviation is None of one seed."""

    mean: float
    deviation: float | None


class Entry(NamedTuple):
    """One row of a table on one data set.

    Attributes:
        row: Its name in the sweep.
        data: Name of the data set; "" where nothing was run.
        seeds: That were run.
        scores: By metric; {} where nothing was run.
        ranks: By metric, 1 for the best and 2 for the second of the data set.
        interval: Of the mean Dice, by the table's unit; None without one.
        difference: Of Dice to the baseline's, over the seeds that both have.
        p: By patient, or by slice where patients are not known; None without a difference.
        p_slices: By slice.
        num_parameters: Of the network; None where nothing was run.
        minutes: Mean of the training runs.
    """

    row: str
    data: str = ""
    seeds: tuple[int, ...] = ()
    scores: Mapping[str, Score] = {}
    ranks: Mapping[str, int] = {}
    interval: tuple[float, float] | None = None
    difference: float | None = None
    p: float | None = None
    p_slices: float | None = None
    num_parameters: int | None = None
    minutes: float | None = None


def read_results(file: Path, sweep: Sweep) -> list[dict[str, str]]:
    """The rows of a sweep's CSV, once they can be right; [] where there is none yet.

    Raises:
        UserError: A row that the sweep does not have or that stands twice, a number that is none or
            out of its range, or runs of other data or conventions; names file and line.
    """
    if not file.is_file():
        return []
    rows = read_rows(file)
    seen: dict[Key, int] = {}
    for line, row in enumerate(rows, 2):
        try:
            key = key_of(row)
            if row["row"] not in (*sweep.rows, REFERENCE):
                hint = suggestion(row["row"], sweep.rows)
                raise UserError(f"the sweep has no row {shown(row['row'])}{hint}")
            if key in seen:
                raise UserError(f"{' '.join(key)} stands on line {seen[key]} already")
            seen[key] = line
            _check_numbers(row, sweep)
        except UserError as error:
            raise UserError(f"{file}:{line}: {error}; 'sweep.py' writes it anew") from error
    _check_alike(rows, file)
    return rows


def _check_numbers(row: CsvRow, sweep: Sweep) -> None:
    """Every number that a table takes."""
    bounds = {"seed": math.inf, "num_parameters": math.inf, "train_seconds": math.inf}
    bounds |= dict.fromkeys(("group_low", "group_high", "paired_p", "paired_p_slices"), 1.0)
    if row["row"] == REFERENCE:
        bounds = {}
    bounds |= {k: 1.0 if column(k).unit == "fraction" else math.inf for k in sweep.metrics}
    for key, highest in bounds.items():
        if key not in row:
            raise UserError(f"no column {key}")
        try:
            value = _number(row, key)
        except ValueError:
            value = math.nan
        if value is not None and not 0 <= abs(value) <= highest:
            raise UserError(f"{key} is {shown(row[key])}, which cannot be")


def _check_alike(rows: Sequence[CsvRow], file: Path) -> None:
    """Runs of one data set that were scored on other data or in another way do not mix."""
    first: dict[str, CsvRow] = {}
    for line, row in enumerate(rows, 2):
        if row["row"] == REFERENCE:  # may be of fewer slices
            continue
        former = first.setdefault(row["data"], row)
        for key in _ONE_OF_A_TABLE:
            if row.get(key) != former.get(key):
                raise UserError(
                    f"{file}:{line}: {key} of {row['data']} is {shown(row.get(key))}, and "
                    f"{shown(former.get(key))} above; results of both are not mixed: run them anew"
                )


def summarize(sweep: Sweep, rows: Sequence[CsvRow]) -> list[Entry]:
    """The rows of the table, in the sweep's order, on each data set of the CSV.

    Args:
        sweep: Its rows and metrics.
        rows: Of read_results.
    """
    data_sets = list(dict.fromkeys(row["data"] for row in rows)) or [""]
    entries = [entry for data in data_sets for entry in _of_data_set(sweep, rows, data)]
    elsewhere = {row["row"] for row in rows} if len(data_sets) > 1 else set()
    return [entry for entry in entries if entry.scores or entry.row not in elsewhere]


def _of_data_set(sweep: Sweep, rows: Sequence[CsvRow], data: str) -> list[Entry]:
    entries = []
    for name in sweep.rows:
        own = [row for row in rows if (row["row"], row["data"]) == (name, data)]
        entries.append(_entry(name, own, sweep.metrics) if own else Entry(name, data))
    reference = [row for row in rows if (row["row"], row["data"]) == (REFERENCE, data)]
    ranks: dict[str, dict[str, int]] = {entry.row: {} for entry in entries}
    for key in sweep.metrics:
        badness = {e.row: _badness(key, e.scores[key].mean) for e in entries if key in e.scores}
        best = sorted(set(badness.values()))[:2]
        for row, value in badness.items():
            if value in best and len(badness) > 1:
                ranks[row][key] = best.index(value) + 1
    ranked = [entry._replace(ranks=ranks[entry.row]) for entry in entries]
    return [
        *ranked,
        *(Entry(REFERENCE, data, scores=_scores([r], sweep.metrics)) for r in reference),
    ]


def _entry(name: str, rows: Sequence[CsvRow], metrics: Sequence[str]) -> Entry:
    """A row of the table from its seeds."""
    first = rows[0]
    low, high = _number(first, "group_low"), _number(first, "group_high")
    return Entry(
        row=name,
        data=first["data"],
        seeds=tuple(sorted(int(row["seed"]) for row in rows)),
        scores=_scores(rows, metrics),
        interval=None if low is None or high is None else (low, high),
        difference=_number(first, "paired_difference"),
        p=_number(first, "paired_p"),
        p_slices=_number(first, "paired_p_slices"),
        num_parameters=int(first["num_parameters"]),
        minutes=mean(float(row["train_seconds"]) for row in rows) / 60,
    )


def _scores(rows: Sequence[CsvRow], metrics: Sequence[str]) -> dict[str, Score]:
    """Mean and deviation of each metric over the rows that have it."""
    scores = {}
    for key in metrics:
        values = [value for row in rows if (value := _number(row, key)) is not None]
        if values:
            scores[key] = Score(mean(values), stdev(values) if len(values) > 1 else None)
    return scores


def _number(row: CsvRow, key: str) -> float | None:
    return float(row[key]) if row[key] != "" else None


def _badness(key: str, value: float) -> float:
    """The smaller the better."""
    metric = column(key)
    return {"higher": -value, "lower": value, "zero": abs(value)}[metric.is_better]
