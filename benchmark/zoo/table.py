"""The rows of the zoo for a terminal, as CSV and as the README's table."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.files import write_rows

Row = Mapping[str, Any]

# Head of a column: its key, and how its value is written.
_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "parameters": ("num_parameters", lambda value: f"{int(value):,}"),
    "GFLOP": ("gflop_forward", lambda value: f"{float(value):.1f}"),
    "outputs": ("outputs", str),
    "own loss": ("own_loss", str),
    "ms/step": ("milliseconds_median", lambda value: f"{float(value):,.0f}"),
    "images/s × U-Net": ("speed_ratio_to_unet", lambda value: f"{float(value):.2f}"),
    "MiB": ("peak_memory_mib", lambda value: f"{float(value):,.0f}"),
}
_TEXTS = ("outputs", "own loss")  # to the left; numbers to the right
_CSV_COLUMNS = [
    *["name", "title", "paper", "reference_licence", "num_parameters", "gflop_forward", "outputs"],
    *["own_loss", "milliseconds_median", "images_per_second", "speed_ratio_to_unet"],
    *["peak_memory_mib", "note"],
]


def format_lines(rows: Sequence[Row]) -> str:
    """The rows as lines, with the notes of what could not be measured."""
    grid = [["network", *_COLUMNS]]
    grid += [[row["name"], *(_cell(row, head) for head in _COLUMNS)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    is_text = [True, *(head in _TEXTS for head in _COLUMNS)]
    lines = [
        "  ".join(
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(line, widths, is_text, strict=True)
        ).rstrip()
        for line in grid
    ]
    return "\n".join([*lines, *_notes(rows)])


def format_markdown(rows: Sequence[Row]) -> str:
    """The README's table, with the setting under it.

    Args:
        rows: As read_csv gives them.
    """
    heads = ["network", "paper", *_COLUMNS, "licence of the reference"]
    rules = [":---" if h in _TEXTS or h not in _COLUMNS else "---:" for h in heads]
    lines = [f"| {' | '.join(heads)} |", f"|{'|'.join(rules)}|"]
    for row in rows:
        first = f"{row['title']} (`{row['name']}`)"
        cells = [first, row["paper"], *(_cell(row, h) for h in _COLUMNS), row["reference_licence"]]
        lines.append(f"| {' | '.join(cells)} |")
    row = rows[0]
    timing = ""
    if row["rounds"]:
        timing = (
            f" ms/step, images/s and peak memory: training step of batch {row['batch_size']} "
            f"under the own loss, {row['precision']} "
            f"{'channels_last' if row['channels_last'] == 'True' else 'contiguous'}, "
            f"{row['processor']}, {row['threads']} threads, torch {row['torch']}, median of "
            f"{row['rounds']} rounds in turn with the U-Net; memory of the "
            f"{'tensors' if row['device'] == 'cuda' else 'whole process'}."
        )
    setting = (
        f"One grey channel of {row['size']} x {row['size']} px, {row['date']}. GFLOP: forward pass "
        f"of one slice, 2 per multiply-add, convolutions and matrix products.{timing}"
    )
    return "\n".join([*lines, "", setting, *_notes(rows)])


def write_csv(path: Path, rows: Sequence[Row], setting: Row) -> None:
    """Every row, with columns of the setting."""
    write_rows(
        path, [{key: _rounded(row.get(key)) for key in _CSV_COLUMNS} | setting for row in rows]
    )


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV that write_csv wrote.

    Raises:
        UserError: It is not there, or not of this kind.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if not rows or not set(_CSV_COLUMNS) <= rows[0].keys():
        raise UserError(f"{path}: no table of networks; python -m benchmark zoo --csv writes one")
    return rows


def _cell(row: Row, head: str) -> str:
    """A value as text; a dash where there is none."""
    key, write = _COLUMNS[head]
    value = row.get(key)
    return "-" if value in (None, "") else write(value)


def _notes(rows: Sequence[Row]) -> list[str]:
    return [f"{row['name']}: not measured, {row['note']}" for row in rows if row.get("note")]


def _rounded(value: Any) -> Any:
    """Six significant digits."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
