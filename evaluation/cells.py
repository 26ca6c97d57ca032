"""What score tables are made of: cells with a score and its interval, rows, a caption."""

from collections.abc import Sequence
from typing import NamedTuple

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
