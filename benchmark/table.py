"""The benchmark's rows for a terminal and as CSV."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from utils.files import write_rows

Row = Mapping[str, Any]

# Head of the table, and for each column its key and format.
_TABLES = {
    "step": {
        "ms/step": ("milliseconds_median", ",.1f"),
        "min": ("milliseconds_min", ",.1f"),
        "images/s": ("images_per_second", ",.2f"),
        "x time": ("time_ratio_to_plain", ".3f"),
        "MiB": ("peak_memory_mib", ",.0f"),
        "x MiB": ("memory_ratio_to_plain", ".2f"),
        "GFLOP/img": ("gflop_forward_per_image", ".4g"),
        "GFLOP/step": ("gflop_per_step", ".4g"),
        "GFLOP/s": ("gflop_per_second", ",.1f"),
        "% matmul": ("percent_of_matmul_rate", ".1f"),
        "% conv.": ("percent_in_convolutions", ".1f"),
        "compile": ("first_step_seconds", ".1f"),
    },
    "loader": {
        "images/s": ("images_per_second", ",.1f"),
        "x step": ("loader_ratio_to_step", ",.1f"),
    },
    "evaluation": {
        "images/s": ("images_per_second", ",.2f"),
        "ms/batch": ("milliseconds_median", ",.1f"),
        "% network": ("percent_in_network", ".1f"),
        "% metrics": ("percent_in_metrics", ".1f"),
    },
}
_LEGEND = """\
*               as configured: what training.*, data.num_workers and data.cache_mib come to here
training step   training.engine.train_one_epoch on a batch of noise: move, forward, loss, checks,
                backward, Adam, running means; no loading
plain           PyTorch as it comes; on a CPU the other rows keep freed memory for the next step
paper's order   projections after the resize, as algorithm 1 prints it: models/parts/paper_order.py
checkpointing   training.activation_checkpointing: encoder and decoder run forward twice
compiled        training.compile
ms/step, min    median and minimum over the rounds
x time          over the first row's in the same round, median; below 1 is faster
MiB, x MiB      peak over a few steps in a fresh process, and over the first row's: of the whole
                process on a CPU, imports and compiler included; of the tensors on a GPU
GFLOP           convolutions and matrix products, 2 per multiply-add; /img forward, /step both ways
% matmul        GFLOP/s over the matrix product's at the same precision
% conv.         share of the step's time that convolutions take, forward and backward
compile         s, first step in a fresh process, nothing kept from earlier compilations
loader          augmented batches, not yet moved; x step: over images/s of the configured step
evaluation      training.engine.evaluate on noise; what is left of 100 % is loss and transfers"""
_CSV_COLUMNS = [
    *["kind", "variant", "is_default"],
    *dict.fromkeys(key for table in _TABLES.values() for key, _ in table.values()),
    *["matmul_gflop_per_second", "note"],
]


def format_tables(rows: Sequence[Row], titles: Mapping[str, str]) -> str:
    """A table of each kind of row, and what follows from them.

    Args:
        rows: Of one device.
        titles: Head of the first column of each kind.
    """
    width = 2 + max(map(len, [*titles.values(), *(row["variant"] for row in rows)]))
    parts = []
    for kind, columns in _TABLES.items():
        lines = _lines([row for row in rows if row["kind"] == kind], columns, width)
        parts.append("\n".join([titles[kind].ljust(width) + lines[0], *lines[1:]]))
    return "\n\n".join([*parts, "\n".join(conclusions(rows))])


def legend() -> str:
    """What the columns mean."""
    return _LEGEND


def conclusions(rows: Sequence[Row]) -> Iterable[str]:
    """What remains to be gained, and whether the loader keeps up; where it could be measured."""
    steps = [row for row in rows if row["kind"] == "step"]
    plain, default = steps[0], next(row for row in steps if row["is_default"])
    share = default.get("percent_in_convolutions")
    if share and plain.get("percent_in_convolutions"):
        milliseconds = default["milliseconds_median"] * share / 100
        best = plain["milliseconds_median"] / milliseconds
        yield (
            f"convolutions take {milliseconds:,.1f} ms of the configured step: were all else "
            f"free, it would be {best:.2f} x as fast as the plain step"
        )
    loader = next(row for row in rows if row["kind"] == "loader" and row["is_default"])
    if loader.get("loader_ratio_to_step"):
        yield f"the loader feeds {loader['loader_ratio_to_step']:,.1f} x the configured step"


def write_csv(path: Path, rows: Sequence[Row], setting: Mapping[str, Any]) -> None:
    """Every row with the columns of all kinds, empty where they do not apply.

    Args:
        path: The file.
        rows: Of all devices; a key that is no column of a table goes to the setting.
        setting: Columns that are equal in all rows.
    """
    write_rows(
        path,
        [
            {key: _rounded(row.get(key)) for key in _CSV_COLUMNS}
            | {key: row.get(key, value) for key, value in setting.items()}
            for row in rows
        ],
    )


def _lines(rows: Sequence[Row], columns: Mapping[str, tuple[str, str]], width: int) -> list[str]:
    """The heads of the columns, and the rows of one kind."""
    cells = [[_cell(row.get(key), form) for key, form in columns.values()] for row in rows]
    widths = [2 + max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    lines = [_line(columns, widths)]
    for row, values in zip(rows, cells, strict=True):
        label = f"{'*' if row['is_default'] else ' '} {row['variant']}".ljust(width)
        note = row.get("note")
        lines.append(f"{label}  not measured: {note}" if note else label + _line(values, widths))
    return lines


def _line(cells: Iterable[str], widths: Iterable[int]) -> str:
    return "".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


def _rounded(value: Any) -> Any:
    """Six significant digits."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
