"""prepare.py paper: the paper's own data set, joined from three public ones."""

import argparse
from pathlib import Path

from datasets.sources import SOURCES
from preparation.commands.convert import add_conversion_arguments, make_data_folder
from preparation.conversion.paper import PAPER_SOURCES, convert_paper


def add_paper(commands: argparse._SubParsersAction) -> None:
    """The command paper."""
    names = ", ".join(PAPER_SOURCES)
    parser = commands.add_parser(
        "paper",
        help=f"the paper's own data set, joined from {names}",
        description=(
            f"Joins {names}, 4,449 slices in all, split by patient. With --allow-leak the "
            "paper's protocol: 4,000 and 449 slices drawn at random, so that patients stand on "
            "both sides."
        ),
    )
    parser.add_argument(
        "--from",
        type=Path,
        required=True,
        dest="origin",
        metavar="DIR",
        help=f"a folder that holds the files as downloaded in folders called {names}",
    )
    add_conversion_arguments(parser)
    parser.set_defaults(function=make_paper)


def make_paper(arguments: argparse.Namespace) -> None:
    """Join, split and write."""
    make_data_folder(
        arguments,
        [SOURCES[name] for name in PAPER_SOURCES],
        lambda options, progress: convert_paper(
            SOURCES, arguments.origin, arguments.out, options, progress
        ),
    )
