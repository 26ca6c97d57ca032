"""What test.py left of a run, read back and checked: metrics.json and per_case.csv."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from metrics.registry import METRICS
from utils.errors import UserError
from utils.files import parse_json, unquote_cell

# Keys of metrics.json without which equal figures would not mean the same.
_CONVENTIONS = ("protocol", "threshold", "empty_target", "distance_unit", "surface_tolerance")
Case = tuple[str, str]


class ScoredRun(NamedTuple):
    """The scores of a run.

    Attributes:
        folder: Of the two files.
        conventions: Protocol, threshold and what else the figures were taken by.
        keys: Metrics that are columns of the cases and means of the run, in the means' order.
        cases: (name, patient) of a case gives its metrics, NaN where one is not defined.
        derived_lungs: Whether it was trained with lung masks of the built-in segmentation.
    """

    folder: Path
    conventions: dict[str, Any]
    keys: list[str]
    cases: dict[Case, dict[str, float]]
    derived_lungs: bool = False

    @property
    def table(self) -> Path:
        """The file of the cases, for messages."""
        return self.folder / "per_case.csv"


def read_scored_run(path: Path) -> ScoredRun:
    """Reads and checks both files.

    Args:
        path: Their folder, or a file in it, such as the checkpoint.

    Raises:
        UserError: A file is missing or damaged, or the two are not of one run of test.py.
    """
    folder = path.parent if path.is_file() else path
    for name in ("metrics.json", "per_case.csv"):
        if not (folder / name).is_file():
            raise UserError(f"{path}: no scores, {name} is missing; run test.py first")
    summary = _read_summary(folder / "metrics.json")
    table = folder / "per_case.csv"
    keys, cases = _read_cases(table, [key for key in summary if key in METRICS])
    if summary.get("n") != len(cases):
        raise UserError(
            f"{table}: {len(cases)} cases, where metrics.json counts {summary.get('n')}; "
            "run test.py again"
        )
    conventions = {key: summary[key] for key in _CONVENTIONS if key in summary}
    conventions["scored_at"] = summary.get("scored_at", summary.get("image_size"))
    derived = (summary.get("lung_masks") or {}).get("training") == "derived"
    return ScoredRun(folder, conventions, keys, cases, derived)


def _read_summary(path: Path) -> dict[str, Any]:
    """The means and conventions."""
    try:
        summary = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); run test.py again") from error
    if not isinstance(summary, dict):
        raise UserError(f"{path}: holds no scores; run test.py again")
    return summary


def _read_cases(path: Path, wanted: list[str]) -> tuple[list[str], dict[Case, dict[str, float]]]:
    """Which of the metrics are columns, and their values by case."""
    cases: dict[Case, dict[str, float]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream, strict=True)
            columns = reader.fieldnames or ()
            if not {"name", "patient"} <= set(columns):
                raise UserError(f"{path}, line 1: no columns name and patient; run test.py again")
            keys = [key for key in wanted if key in columns]
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                if None in row or None in row.values():
                    raise UserError(f"{where}: not one cell per column; run test.py again")
                case = unquote_cell(row["name"]), unquote_cell(row["patient"])
                if case in cases:
                    raise UserError(f"{where}: {case[0]} for the second time; run test.py again")
                cases[case] = {key: _value(row, key, where) for key in keys}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error}); run test.py again") from error
    return keys, cases


def _value(row: Mapping[str, str], key: str, where: str) -> float:
    """A cell as a number; NaN for an empty one."""
    try:
        value = float(row[key] or "nan")
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise UserError(f"{where}: {key} is {row[key]!r}, no number; run test.py again")
    return value
