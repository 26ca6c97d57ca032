"""prepare.py check: everything that is wrong with a data folder, at once."""

import argparse
import sys
from pathlib import Path

from preparation.checks.folder import inspect_folder
from preparation.commands.output import bar
from utils.errors import UserError
from utils.messages import printable


def add_check(commands: argparse._SubParsersAction) -> None:
    """The command check."""
    parser = commands.add_parser("check", help="print every problem of a data folder, with files")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument(
        "--lesion-values",
        type=int,
        nargs="+",
        metavar="VALUE",
        help="grey values that mean lesion in the masks (default 0/1 and 0/255)",
    )
    parser.add_argument(
        "--allow-leak",
        action="store_true",
        help="only report a patient or a near-duplicate slice that stands in two splits",
    )
    parser.set_defaults(function=check)


def check(arguments: argparse.Namespace) -> None:
    """Print counts, notes and problems.

    Raises:
        UserError: There are problems.
    """
    found = inspect_folder(
        arguments.folder,
        allow_leak=arguments.allow_leak,
        lesion_values=arguments.lesion_values,
        progress=bar("slices"),
    )
    for line in found.counts:
        print(line)
    for note in found.notes:
        print(f"note     {printable(note)}")
    for problem in found.problems:
        print(f"problem  {printable(problem)}", file=sys.stderr)
    if found.problems:
        raise UserError(f"{arguments.folder}: {len(found.problems)} problems; they stand above")
    print(f"{arguments.folder}: no problems")
