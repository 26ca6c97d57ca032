"""What score tables are made of: cells with a score and its interval, rows, a caption."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from metrics.registry import METRICS, MISSING


class Cell(NamedTuple):
    """A score as text, and its interval, '' without one."""

    text: str
    interval: str = ""


class Table(NamedTuple):
    """A caption, the heads of the columns, and rows of a label and cells."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


def score_cell(key: str, value: float | None, interval: Sequence[float] | None = None) -> Cell:
    """A score with its interval in the metric's unit."""
    text = METRICS[key].format(value)
    if text == MISSING or not interval:
        return Cell(text)
    low, high = map(METRICS[key].format, interval)
    return Cell(text, f"{low}{' to ' if low.startswith('-') else '–'}{high}")


def without_blank_rows(table: Table) -> Table:
    """The table without rows in which nothing stands."""
    rows = [row for row in table.rows if any(cell.text != MISSING for cell in row[1])]
    return table._replace(rows=rows)


def score_table(
    caption: str, summary: Mapping[str, Any], keys: Sequence[str], suffixes: Mapping[str, str]
) -> Table:
    """Rows by label for the suffixes of the keys, as far as anything stands in them."""
    unit = summary.get("distance_unit", "px")
    heads = [METRICS[key].label(unit) for key in keys]
    intervals = summary.get("intervals") or {}
    rows = [
        (
            label,
            [
                score_cell(key, summary.get(key + suffix), intervals.get(key + suffix))
                for key in keys
            ],
        )
        for label, suffix in suffixes.items()
    ]
    return without_blank_rows(Table(caption, heads, rows))
