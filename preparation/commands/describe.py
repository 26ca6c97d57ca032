"""prepare.py describe: figures and pictures of any data folder."""

import argparse
from pathlib import Path

from preparation.overview import describe_folder
from utils.cli import add_out_argument
from utils.errors import UserError


def add_describe(commands: argparse._SubParsersAction) -> None:
    """The command describe."""
    parser = commands.add_parser(
        "describe", help="write fingerprint.html, fingerprint.json and montage.png of a data folder"
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    add_out_argument(parser, metavar="DIR", help="where to (default: the data folder itself)")
    parser.set_defaults(function=describe)


def describe(arguments: argparse.Namespace) -> None:
    """Write the three files.

    Raises:
        UserError: It is no data folder, or the files cannot be written.
    """
    out: Path = arguments.out or arguments.folder
    if arguments.out:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--out {out}: cannot be made ({error.strerror})") from error
    describe_folder(arguments.folder, out)
    print(f"look at  {out / 'montage.png'}, {out / 'fingerprint.html'}")
