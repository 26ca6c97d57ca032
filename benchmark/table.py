"""The benchmark's rows for a terminal and as CSV."""

from argparse import ArgumentTypeError
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch

from evaluation.benchmark_tables import format_cells, notes
from evaluation.tables import format_grid
from training.run_info import git_columns, git_state, hardware
from utils.files import write_rows

Row = Mapping[str, Any]

_COLUMNS = {
    "ms": ("milliseconds_median", ",.1f"),
    "images/s": ("images_per_second", ",.2f"),
    "x time": ("time_ratio_to_plain", ".3f"),
    "MiB": ("peak_memory_mib", ",.0f"),
    "% matmul": ("percent_of_matmul_rate", ".1f"),
    "% conv.": ("percent_in_convolutions", ".1f"),
}
LEGEND = """\
*               as configured: what training.*, data.num_workers and data.cache_mib come to here
step            training.engine.train_one_epoch on a batch of noise: move, forward, loss, checks,
                backward, Adam, running means; no loading
plain           PyTorch as it comes; on a CPU the other rows keep freed memory for the next step
paper's order   projections after the resize, as algorithm 1 prints it: models/parts/paper_order.py
checkpointing   training.activation_checkpointing: encoder and decoder run forward twice
compiled        training.compile
loader          augmented batches, not yet moved
evaluation      training.engine.evaluate on a batch of noise
ms              of a step or a batch, median over the rounds
x time          over the first row's in the same round, median; below 1 is faster
MiB             peak over a few steps in a fresh process: of the whole process on a CPU, imports and
                compiler included; of the tensors on a GPU
% matmul        GFLOP/s of the step's convolutions and matrix products, 2 per multiply-add, over
                that of a large matrix product at the same precision
% conv.         share of the step's time that convolutions take, forward and backward"""


def format_rows(rows: Sequence[Row]) -> str:
    """One table of steps, loaders and evaluations, and what follows from it."""
    grid = [["", *_COLUMNS]]
    for row in rows:
        name = f"{'*' if row['is_default'] else ' '} {row['kind']}, {row['variant']}"
        grid.append([name, *format_cells(row, _COLUMNS)])
    return "\n".join([format_grid(grid), *notes(rows, "variant"), *_conclusions(rows)])


def _conclusions(rows: Sequence[Row]) -> list[str]:
    """What remains to be gained, where it could be measured."""
    steps = [row for row in rows if row["kind"] == "step"]
    plain, default = steps[0], next(row for row in steps if row["is_default"])
    share = default.get("percent_in_convolutions")
    if not share or "note" in plain:
        return []
    milliseconds = default["milliseconds_median"] * share / 100
    ratio = plain["milliseconds_median"] / milliseconds
    return [
        f"convolutions take {milliseconds:,.1f} ms of the configured step: were all else free, it "
        f"would be {ratio:.2f} x as fast as the plain step"
    ]


def csv_path(text: str) -> Path:
    """A file of the command line to be written; its folder must be there."""
    path = Path(text)
    if not path.parent.is_dir():
        raise ArgumentTypeError(f"there is no folder {path.parent}; make it first")
    return path


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Row], setting: Row) -> None:
    """Write every row, empty where a column does not apply, and say where.

    Args:
        path: The file.
        columns: Keys of the rows.
        rows: Of a benchmark.
        setting: Columns that are equal in all rows.
    """
    own = [{key: _rounded(row.get(key)) for key in columns} for row in rows]
    write_rows(path, [row | setting for row in own])
    print(f"table        {path}")


def machine_columns(device: torch.device) -> dict[str, Any]:
    """Columns of what the rows were measured on, and with which code."""
    return {
        "device": device.type,
        "processor": hardware()["gpu" if device.type == "cuda" else "processor"],
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        **git_columns(git_state()),
        "date": date.today().isoformat(),
    }


def _rounded(value: Any) -> Any:
    """Six significant digits."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
