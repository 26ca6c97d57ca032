"""The table of six metrics as in the paper's table 2, and rows as CSV."""

import csv
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_COLUMNS = {
    "Dice ↑": "dice",
    "Sens. ↑": "sensitivity",
    "Prec. ↑": "precision",
    "MAE ↓": "mae",
    "E_phi ↑": "e_measure_mean",
    "S_alpha ↑": "s_measure",
}
_ROWS = {"mean over slices": "", "slices with lesion": "_nonempty", "pooled over pixels": "_pooled"}


def format_scores(summary: Mapping[str, Any]) -> str:
    """The table with its conventions under it.

    Args:
        summary: Meter.summary(), with image_size beside it.

    Returns:
        Lines for a terminal; a dash where a metric is not defined for a row.
    """
    lines = [" " * 20 + "".join(f"{head:>11}" for head in _COLUMNS)]
    for label, suffix in _ROWS.items():
        cells = (_percent(summary.get(key + suffix)) for key in _COLUMNS.values())
        lines.append(f"{label:<20}" + "".join(f"{cell:>11}" for cell in cells))
    return "\n".join([*lines, *_conventions(summary)])


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with equal keys as CSV, under a temporary name first."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, path)


def _conventions(summary: Mapping[str, Any]) -> list[str]:
    """What the figures mean: n, policy, counts, threshold, size."""
    height, width = summary["image_size"]
    return [
        f"in %; n = {summary['n']} slices of {summary['n_patients']} patients, "
        f"scored at {height} x {width} px, lesion from probability {summary['threshold']:g}",
        f"{summary['num_empty_target']} slices without lesion (empty_target: a blank prediction "
        f"there scores {summary['empty_target']}), {summary['num_false_alarm']} false alarms on "
        f"them; {summary['num_missed']} slices whose lesion was missed whole",
    ]


def _percent(fraction: float | None) -> str:
    """A fraction in per cent with two decimals."""
    if fraction is None or math.isnan(fraction):
        return "-"
    return f"{100 * fraction:.2f}"
