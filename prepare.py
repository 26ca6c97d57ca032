"""Make data/: synthetic CT; see --help."""

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from datasets.synthetic import write_synthetic_set
from utils.cli import create_parser, run_main
from utils.errors import UserError


def main() -> None:
    """Command line."""
    parser = create_parser(
        "Make a data folder.",
        "python prepare.py synthetic --out data/synthetic --min-severity 0.65",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_synthetic(commands)
    arguments = parser.parse_args()
    arguments.function(arguments)


def add_synthetic(commands: argparse._SubParsersAction) -> None:
    """The command synthetic."""
    parser = commands.add_parser(
        "synthetic", help="write a deterministic synthetic chest-CT set with lesions"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new data folder")
    parser.add_argument(
        "--patients",
        type=int,
        nargs=3,
        default=(40, 8, 8),
        metavar=("TRAIN", "VAL", "TEST"),
        help="patients per split (default 40 8 8)",
    )
    parser.add_argument("--slices", type=int, default=12, help="per patient (default 12)")
    parser.add_argument("--size", type=int, default=256, help="px per side (default 256)")
    parser.add_argument("--seed", type=int, default=0, help="of the first patient (default 0)")
    parser.add_argument(
        "--min-severity",
        type=float,
        default=0.0,
        help="least severity of disease, 0 to 1: more and larger lesions (default 0)",
    )
    parser.set_defaults(function=make_synthetic)


def make_synthetic(arguments: argparse.Namespace) -> None:
    """Write the synthetic set and say what it holds."""
    for name, least in (("slices", 1), ("size", 64), ("seed", 0)):
        if getattr(arguments, name) < least:
            raise UserError(f"--{name}: must be at least {least}")
    if min(arguments.patients) < 1:
        raise UserError("--patients: every split needs at least 1")
    if not 0 <= arguments.min_severity <= 1:
        raise UserError("--min-severity: must lie in 0 to 1")
    splits = dict(zip(("train", "val", "test"), arguments.patients, strict=True))
    start = time.perf_counter()
    summary = write_synthetic_set(
        arguments.out,
        num_patients=splits,
        num_slices=arguments.slices,
        image_size=arguments.size,
        seed=arguments.seed,
        min_severity=arguments.min_severity,
        progress=_bar,
    )
    counts = ", ".join(f"{name} {count}" for name, count in summary.slices_per_split.items())
    print(
        f"{arguments.out}: {summary.num_slices} slices ({counts}), {summary.num_empty} without "
        f"lesion, {summary.num_slices / (time.perf_counter() - start):.0f} slices/s"
    )


def _bar(items: Iterable) -> Iterable:
    """A bar on a terminal."""
    return tqdm(items, desc="synthetic CT", leave=False, disable=not sys.stderr.isatty())


if __name__ == "__main__":
    run_main(main)
