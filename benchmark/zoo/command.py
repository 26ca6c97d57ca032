"""The table of all networks on this machine; see python -m benchmark zoo --help."""

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch

from benchmark.step_variants import default_variant
from benchmark.zoo.costs import REFERENCE, Entry, measure
from benchmark.zoo.table import format_lines, format_markdown, read_csv, write_csv
from models import MODELS
from training.builders import build_runtime
from training.run_info import git_state, hardware
from training.runtime import Runtime
from utils.cli import add_set_argument, create_parser
from utils.errors import UserError, suggestion
from utils.readme import README, replace_table

_LEGEND = """\
GFLOP       forward pass of one grey slice; convolutions and matrix products, 2 per multiply-add
own loss    of the network's paper, which the training step is timed under
ms/step     median over the rounds; images/s over U-Net's in the same rounds, above 1 is faster
MiB         peak over a few training steps in a fresh process: of the whole process on a CPU, of
            the tensors on a GPU"""


def main(line: Sequence[str]) -> None:
    """The arguments after python -m benchmark zoo."""
    arguments = _parse_arguments(line)
    if arguments.readme:
        replace_table(README, "zoo", format_markdown(read_csv(arguments.readme)))
        return
    entries = [_entry(name, arguments) for name in arguments.only or MODELS]
    rows = [entry.describe() for entry in entries]
    reference = _entry(REFERENCE, arguments)
    runtime = build_runtime(reference.config)
    if not arguments.no_timing:
        variant = default_variant(reference.config, runtime)
        costs = measure(entries, reference, variant, arguments.rounds)
        rows = [row | cost for row, cost in zip(rows, costs, strict=True)]
    print(f"{format_lines(rows)}\n\n{_LEGEND}")
    if arguments.csv:
        write_csv(arguments.csv, rows, _setting(arguments, runtime))
        print(f"table       {arguments.csv}")


def _entry(name: str, arguments: argparse.Namespace) -> Entry:
    return Entry(name, arguments.size, arguments.batch, arguments.overrides)


def _parse_arguments(line: Sequence[str]) -> argparse.Namespace:
    """The command line.

    Raises:
        UserError: A network that does not exist, --set of what is fixed here, or no such folder.
    """
    parser = create_parser(
        "All networks with parameters, arithmetic, outputs, loss and source, and the time and\n"
        "memory of a training step beside U-Net's.",
        "python -m benchmark zoo --csv resources/results/zoo.csv\n"
        "  python -m benchmark zoo --readme resources/results/zoo.csv\n"
        "  python -m benchmark zoo --only unet infnet --set training.channels_last=false",
    )
    parser.prog = "python -m benchmark zoo"
    counts = {
        "--size": (256, "PX", "side of the slices"),
        "--batch": (2, "N", "slices per training step"),
        "--rounds": (5, "N", "timed steps of each network"),
    }
    for name, (default, unit, text) in counts.items():
        text = f"{text} (default: {default})"
        parser.add_argument(name, type=_count, default=default, metavar=unit, help=text)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these networks instead of all")
    parser.add_argument("--no-timing", action="store_true", help="leave out time and memory")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table as CSV, too")
    parser.add_argument(
        "--readme", type=Path, metavar="FILE", help="measure nothing; put a CSV into README.md"
    )
    add_set_argument(parser)
    arguments = parser.parse_args(line)
    for name in arguments.only or ():
        if name not in MODELS:
            known = ", ".join(MODELS)
            raise UserError(
                f"--only: there is no {name!r}{suggestion(name, MODELS)}; known: {known}"
            )
    for pair in arguments.overrides:
        if not pair.startswith("training."):
            raise UserError(f"--set {pair}: only training.* can be changed here")
    if arguments.csv and not arguments.csv.parent.is_dir():
        raise UserError(f"--csv: there is no folder {arguments.csv.parent}; make it first")
    return arguments


def _count(text: str) -> int:
    """A positive integer of the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, not {text!r}")
    return int(text)


def _setting(arguments: argparse.Namespace, runtime: Runtime) -> dict[str, Any]:
    """The last columns of the CSV."""
    machine, git = hardware(), git_state() or {"sha": "", "dirty": ""}
    is_cuda = runtime.device.type == "cuda"
    return {
        "size": arguments.size,
        "batch_size": arguments.batch,
        "rounds": None if arguments.no_timing else arguments.rounds,
        "device": runtime.device.type,
        "processor": machine["gpu" if is_cuda else "processor"],
        "threads": torch.get_num_threads(),
        "precision": runtime.precision,
        "channels_last": runtime.channels_last,
        "torch": torch.__version__,
        "git_sha": git["sha"],
        "git_dirty": git["dirty"],
        "date": date.today().isoformat(),
    }
