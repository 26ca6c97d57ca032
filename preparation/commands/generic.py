"""prepare.py generic: a folder of NIfTI pairs, or of image/mask pairs, into a data folder."""

import argparse
from pathlib import Path

from datasets.intensity import GREY_LEVELS, LUNG_WINDOW, UNIT_RANGE, IntensityRule
from datasets.sources.file_tree import FileTree
from datasets.sources.generic import GenericOptions, generic_source
from datasets.units import ARBITRARY
from preparation.commands.convert import add_conversion_arguments, make_data_folder
from preparation.conversion.convert import convert
from utils.errors import UserError

_RULES = {"HU": LUNG_WINDOW, "0-255": GREY_LEVELS, "0-1": UNIT_RANGE}


def add_generic(commands: argparse._SubParsersAction) -> None:
    """The command generic."""
    parser = commands.add_parser(
        "generic",
        help="files of your own: NIfTI pairs, or image/mask pairs of PNG and the like",
        description="\n".join(generic_source().expects),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--from", type=Path, required=True, dest="origin", metavar="DIR", help="folder, or zip"
    )
    for kind in ("images", "masks", "lungs"):
        parser.add_argument(
            f"--{kind}",
            metavar="PATTERN",
            help=f"where {kind} lie, such as '{{patient}}/{kind}_{{slice}}.png'",
        )
    parser.add_argument(
        "--intensity",
        choices=(*_RULES, ARBITRARY),
        help="what the values of volumes are (default HU; images are grey levels as they are); "
        "arbitrary ones need --window",
    )
    parser.add_argument(
        "--window",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="values that become black and white (default -1250 250 HU); for images, the window in "
        "HU that they were made with, which predict.py then applies to scans",
    )
    parser.add_argument(
        "--labels",
        nargs="+",
        metavar="VALUE=CLASS",
        help="class of each value of the masks, 0 to drop it (default one class, 1 or 255)",
    )
    parser.add_argument(
        "--unlabelled",
        action="store_true",
        help="there are no masks: all slices, of DICOM series as well, go to unlabelled/, a pool "
        "for few-labels --pool",
    )
    add_conversion_arguments(parser)
    parser.set_defaults(function=make_generic)


def make_generic(arguments: argparse.Namespace) -> None:
    """Find the pairs, write them."""
    tree = FileTree(arguments.origin)
    source = generic_source(read_generic_options(arguments), tree)
    make_data_folder(
        arguments,
        [source],
        lambda options, progress: convert([(source, tree)], arguments.out, options, progress),
    )


def read_generic_options(arguments: argparse.Namespace) -> GenericOptions:
    """What the command line says of the files.

    Raises:
        UserError: A window or a label map makes no sense.
    """
    given = [k for k in ("images", "masks", "lungs", "labels") if getattr(arguments, k)]
    if arguments.unlabelled and given:
        raise UserError(f"--{given[0]}: --unlabelled takes all images, by their own names")
    rule = _RULES.get(arguments.intensity)
    if arguments.intensity == ARBITRARY and not arguments.window:
        raise UserError(
            f"--intensity {ARBITRARY}: needs --window LOW HIGH, the values that become black and "
            "white"
        )
    if arguments.window:
        low, high = arguments.window
        if not low < high:
            raise UserError(f"--window {low:g} {high:g}: the first must be below the second")
        rule = IntensityRule(arguments.intensity or "HU", low, high)
    return GenericOptions(
        image_pattern=arguments.images,
        mask_pattern=arguments.masks,
        lung_pattern=arguments.lungs,
        rule=rule,
        unlabelled=arguments.unlabelled,
        labels=arguments.labels and dict(_read_label(text) for text in arguments.labels),
    )


def _read_label(text: str) -> tuple[int, int]:
    """VALUE=CLASS as two numbers."""
    value, _, label = text.partition("=")
    if not (value.isdecimal() and label.isdecimal() and int(label) < 256):
        raise UserError(f"--labels {text}: write VALUE=CLASS, two whole numbers, such as 38=1")
    return int(value), int(label)
