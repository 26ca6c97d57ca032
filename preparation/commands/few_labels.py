"""prepare.py few-labels: a data folder in which few patients or slices keep their masks."""

import argparse
from pathlib import Path

from preparation.commands.output import bar
from preparation.few_labels import Labels, write_few_labels
from utils.cli import add_out_argument, positive_int
from utils.errors import UserError
from utils.messages import first_of


def add_few_labels(commands: argparse._SubParsersAction) -> None:
    """The command few-labels."""
    parser = commands.add_parser(
        "few-labels",
        help="a data folder in which few patients or slices keep their masks, the rest is a pool",
        description=(
            "Deals labels by seed: N patients or slices of train keep their masks, all others go "
            "to unlabelled/ as images alone, for training.procedure self_training, mean_teacher "
            "and fixmatch. Their masks lie in hidden/, where no training looks. val and test stay."
        ),
    )
    parser.add_argument(
        "--from", type=Path, required=True, dest="origin", metavar="DIR", help="a data folder"
    )
    add_out_argument(parser, required=True, metavar="DIR", help="new data folder")
    units = parser.add_mutually_exclusive_group(required=True)
    units.add_argument("--patients", type=positive_int, metavar="N", help="who keep their masks")
    units.add_argument("--slices", type=positive_int, metavar="N", help="that keep their masks")
    parser.add_argument("--seed", type=int, default=0, help="of the deal (default 0)")
    parser.add_argument(
        "--pool",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="more slices without labels: data folders (their unlabelled/, else train/), such as "
        "prepare.py covid-semiseg-unlabelled makes, or folders of images",
    )
    parser.set_defaults(function=make_few_labels)


def make_few_labels(arguments: argparse.Namespace) -> None:
    """Deal the labels and say who got them."""
    if arguments.seed < 0:
        raise UserError("--seed: must be at least 0")
    unit = "patient" if arguments.patients else "slice"
    labels = Labels(unit, arguments.patients or arguments.slices, arguments.seed)
    dealt = write_few_labels(
        arguments.origin, arguments.out, labels, arguments.pool, bar("slices compared")
    )
    counts = ", ".join(f"{split} {number}" for split, number in dealt.slices.items())
    print(f"{arguments.out}: {counts} slices; labelled: {first_of(dealt.labelled)}")
    for note in dealt.notes:
        print(f"note     {note}")
