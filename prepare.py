"""Make data/: synthetic CT, or a public data set as downloaded; see --help."""

import argparse

from datasets.sources import SOURCES
from preparation.commands.by_slice import add_by_slice
from preparation.commands.check import add_check
from preparation.commands.convert import add_source
from preparation.commands.describe import add_describe
from preparation.commands.few_labels import add_few_labels
from preparation.commands.generic import add_generic
from preparation.commands.lungs import add_lungs
from preparation.commands.nnunet import add_nnunet
from preparation.commands.output import describe_source
from preparation.commands.paper import add_paper
from preparation.commands.synthetic import add_synthetic
from severity.lungs.prepared import lungs_of_slices
from utils.cli import create_parser, run_main


def main() -> None:
    """Command line."""
    parser = create_parser(
        "Make a data folder: synthetic CT, or a public data set as downloaded; check one.",
        "python prepare.py synthetic --out data/synthetic --min-severity 0.65\n"
        "  python prepare.py --list\n"
        "  python prepare.py covid-ct-seg --from DOWNLOADS --out data/covid-ct-seg\n"
        "  python prepare.py check data/covid-ct-seg",
    )
    parser.add_argument("--list", action=_ListSources, nargs=0, help="data sets and their terms")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_synthetic(commands)
    for source in SOURCES.values():
        add_source(commands, source)
    add_generic(commands)
    add_paper(commands)
    add_by_slice(commands)
    add_check(commands)
    add_describe(commands)
    add_lungs(commands, lungs_of_slices)
    add_nnunet(commands)
    add_few_labels(commands)
    arguments = parser.parse_args()
    arguments.function(arguments)


class _ListSources(argparse.Action):
    """Prints the data sets and ends, as --help does."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print a paragraph per source."""
        print("\n\n".join(describe_source(source) for source in SOURCES.values()))
        parser.exit()


if __name__ == "__main__":
    run_main(main)
