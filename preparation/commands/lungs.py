"""prepare.py lungs: lung masks for CT slices without any, found in the slices themselves."""

import argparse
from pathlib import Path

from datasets.pairing import LUNG_FOLDERS
from preparation.commands.output import bar
from preparation.lungs import FindLungs, derive_lungs
from utils.messages import count, first_of


def add_lungs(commands: argparse._SubParsersAction, find: FindLungs) -> None:
    """The command lungs; `find` is the segmentation, which lies in a room beside this one."""
    parser = commands.add_parser(
        "lungs",
        help="find the lungs of CT slices that come without lung masks, for data.lung=derived",
        description=(
            f"Writes DIR/<split>/{LUNG_FOLDERS['derived']}/ with the lungs that threshold and "
            "morphology find in the slices (CT in Hounsfield units, windowed). Training takes them "
            "with data.lung=derived alone, and every table says so: they are no annotation."
        ),
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument(
        "--window",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="HU that are black and white, where dataset.json does not say",
    )
    parser.set_defaults(function=lambda arguments: make_lungs(arguments, find))


def make_lungs(arguments: argparse.Namespace, find: FindLungs) -> None:
    """Find and write them; say how many, and how they agree with masks that were there."""
    found = derive_lungs(arguments.folder, find, arguments.window, bar("scans"))
    for split, number in found.num_slices.items():
        print(f"{arguments.folder / split / LUNG_FOLDERS['derived']}: {count(number, 'lung mask')}")
    if found.without:
        scans = count(len(found.without), "scan")
        print(f"no lungs in {scans} of {found.num_scans}: {first_of(found.without)}")
    if found.dice is not None:
        print(
            f"Dice {100 * found.dice:.1f} % with the {count(found.num_given, 'lung mask')} of the "
            "data set, pooled over pixels"
        )
    print("take them with --set data.lung=derived")
