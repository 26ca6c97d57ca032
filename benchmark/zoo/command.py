"""The table of all networks on this machine; see python -m benchmark zoo --help."""

import argparse
from collections.abc import Sequence

from benchmark.step_variants import default_variant
from benchmark.table import csv_path, machine_columns, write_csv
from benchmark.zoo.costs import REFERENCE, Entry, measure
from evaluation.benchmark_tables import ZOO_COLUMNS, format_cells, notes
from evaluation.tables import format_grid
from models import MODELS
from training.builders import build_runtime
from utils.cli import add_set_argument, create_parser, positive_int
from utils.errors import UserError

_BATCH_SIZE = 2
_CSV_COLUMNS = [
    *["name", "title", "paper", "reference_licence", "num_parameters", "gflop_forward", "outputs"],
    *["own_loss", "milliseconds_median", "speed_ratio_to_unet", "peak_memory_mib", "note"],
]
_LEGEND = """\
GFLOP       forward pass of one grey slice; convolutions and matrix products, 2 per multiply-add
own loss    of the network's paper, which the training step is timed under
ms/step     median over the rounds; images/s over U-Net's in the same rounds, above 1 is faster
MiB         peak over a few training steps in a fresh process: of the whole process on a CPU, of
            the tensors on a GPU"""


def main(line: Sequence[str]) -> None:
    """The arguments after python -m benchmark zoo."""
    arguments = _parse_arguments(line)
    overrides = [f"training.batch_size={_BATCH_SIZE}", *arguments.overrides]
    entries = [Entry(name, arguments.size, overrides) for name in arguments.only or MODELS]
    reference = Entry(REFERENCE, arguments.size, overrides)
    training = reference.config.training
    runtime = build_runtime(reference.config)
    rows = measure(entries, reference, default_variant(reference.config, runtime), arguments.rounds)
    grid = [["network", *ZOO_COLUMNS]]
    grid += [[row["name"], *format_cells(row, ZOO_COLUMNS)] for row in rows]
    print("\n".join([format_grid(grid), *notes(rows, "name"), "", _LEGEND]))
    if arguments.csv:
        setting = {
            "size": arguments.size,
            "batch_size": training.batch_size,
            "rounds": arguments.rounds,
            "precision": runtime.precision,
            "channels_last": runtime.channels_last,
            **machine_columns(runtime.device),
        }
        write_csv(arguments.csv, _CSV_COLUMNS, rows, setting)


def _parse_arguments(line: Sequence[str]) -> argparse.Namespace:
    """The command line.

    Raises:
        UserError: --set of what is fixed here.
    """
    parser = create_parser(
        "All networks with parameters, arithmetic, outputs, loss and source, and the time and\n"
        "memory of a training step beside U-Net's.",
        "python -m benchmark zoo --csv resources/results/zoo.csv\n"
        "  python -m benchmark zoo --only unet infnet --set training.channels_last=false",
    )
    parser.prog = "python -m benchmark zoo"
    for name, default, unit, text in (
        ("--size", 256, "PX", "side of the slices"),
        ("--rounds", 5, "N", "timed steps of each network"),
    ):
        text = f"{text} (default: {default})"
        parser.add_argument(name, type=positive_int, default=default, metavar=unit, help=text)
    parser.add_argument(
        "--only", nargs="+", choices=MODELS, metavar="NAME", help="these networks instead of all"
    )
    parser.add_argument("--csv", type=csv_path, metavar="FILE", help="write the rows as CSV, too")
    add_set_argument(parser)
    arguments = parser.parse_args(line)
    for pair in arguments.overrides:
        if not pair.startswith("training."):
            raise UserError(f"--set {pair}: only training.* can be changed here")
    return arguments
