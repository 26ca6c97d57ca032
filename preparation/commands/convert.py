"""prepare.py SOURCE and prepare.py paper: public data sets, as downloaded, into a data folder."""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from datasets.data_folder import FolderSummary
from datasets.sources.download import download
from datasets.sources.file_tree import FileTree
from datasets.sources.source import Source
from preparation.commands.output import (
    bar,
    describe_folder_summary,
    describe_source,
    describe_terms,
)
from preparation.conversion.convert import convert
from preparation.conversion.mask_orientation import OPTION, parse_mask_orientation
from preparation.conversion.official_folds import OFFICIAL
from preparation.conversion.options import ConversionOptions, parse_keep_empty
from utils.cli import add_out_argument
from utils.errors import UserError

_Bar = Callable[[Iterable], Iterable]
_Writer = Callable[[ConversionOptions, _Bar], FolderSummary]


def add_conversion_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that every data set has in common."""
    default = ConversionOptions()
    add_out_argument(parser, metavar="DIR", help="new data folder")
    parser.add_argument(
        "--fractions",
        type=float,
        nargs=3,
        default=default.fractions,
        metavar=("TRAIN", "VAL", "TEST"),
        help="shares of the patients where the source has no split (default 0.7 0.1 0.2)",
    )
    parser.add_argument("--seed", type=int, default=default.seed, help="of the split (default 0)")
    parser.add_argument(
        "--folds",
        type=_read_folds,
        metavar="K",
        help="K folds for cross-validation, DIR/fold0 and on; official: those that the data set's "
        "benchmark has published (covid-ct-seg: 4 scans to train, 16 to test), official-16-4: the "
        "other way round",
    )
    parser.add_argument(
        "--new-split", action="store_true", help="split anew where the source has a split"
    )
    _add_image_arguments(parser, default)
    parser.add_argument(
        "--keep-empty",
        default="all",
        metavar="all|none|RATIO",
        help="slices without lesion: all of them, none, or so many per slice with one",
    )
    add_mask_arguments(parser)
    parser.add_argument(
        "--allow-leak",
        action="store_true",
        help="only report a patient or a near-duplicate slice that stands in two splits",
    )
    parser.add_argument(
        "--keep-going", action="store_true", help="leave out scans that fail, and list them"
    )


def add_mask_arguments(parser: argparse.ArgumentParser) -> None:
    """Which masks are converted, and how they lie."""
    parser.add_argument("--no-lungs", action="store_true", help="leave out lung masks")
    parser.add_argument(
        OPTION,
        nargs="+",
        default=[],
        metavar="POSITION",
        help="how masks are brought to their images: transpose, mirror, flip, rotate-right, ... or "
        "reverse (in z), of lesions; lungs=mirror of lung masks; stored leaves them as they are",
    )


def _add_image_arguments(parser: argparse.ArgumentParser, default: ConversionOptions) -> None:
    """What concerns the stored images."""
    parser.add_argument(
        "--bits", type=int, choices=(8, 16), default=default.bits, help="of the images (default 8)"
    )
    parser.add_argument(
        "--max-side",
        type=int,
        metavar="PX",
        help="longer side to which larger images are made smaller; 0 keeps their sizes (default 0 "
        "for CT, 1024 for X-rays)",
    )


def add_source(commands: argparse._SubParsersAction, source: Source) -> None:
    """The command of one public data set."""
    parser = commands.add_parser(
        source.facts.name,
        help=source.facts.title,
        description=describe_source(source),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--from",
        type=Path,
        required=True,
        dest="origin",
        metavar="DIR",
        help="the files as downloaded: a folder, nested or not, archives unpacked or not; or a zip",
    )
    if source.downloads:
        parser.add_argument(
            "--download", action="store_true", help="fetch the files into --from first"
        )
    add_conversion_arguments(parser)
    parser.set_defaults(function=lambda arguments: make_from_source(arguments, source))


def make_from_source(arguments: argparse.Namespace, source: Source) -> None:
    """Fetch the files where asked, then convert them."""
    is_fetched = getattr(arguments, "download", False)
    if is_fetched:
        for path in download(source, arguments.origin):
            print(f"fetched  {path}")
    if arguments.out is None and is_fetched:
        return
    make_data_folder(
        arguments,
        [source],
        lambda options, progress: convert(
            [(source, FileTree(arguments.origin))], arguments.out, options, progress
        ),
    )


def make_data_folder(
    arguments: argparse.Namespace, sources: Sequence[Source], write: _Writer
) -> None:
    """Say under which terms the slices come, write them, say what came out.

    Args:
        arguments: Of add_conversion_arguments.
        sources: Where the slices are from.
        write: Writes arguments.out.

    Raises:
        UserError: As preparation.conversion.convert; or, once all is written, scans failed and
            --keep-going left them out.
    """
    if arguments.out is None:
        raise UserError("--out: name the data folder to make")
    for source in sources:
        print(describe_terms(source))
    start = time.perf_counter()
    summary = write(read_options(arguments), bar("scans"))
    print(describe_folder_summary(arguments.out, summary, time.perf_counter() - start))
    for note in summary.notes:
        print(f"note     {note}", file=sys.stderr)
    _say_what_to_look_at(arguments.out, arguments.folds)
    for failure in summary.failures:
        print(f"left out {failure}", file=sys.stderr)
    if summary.failures:
        raise UserError(f"{len(summary.failures)} scans failed and were left out; they stand above")


def _read_folds(text: str) -> int | str:
    """A number, or which of the published folds."""
    if text in OFFICIAL:
        return text
    if not text.removeprefix("-").isdecimal():
        raise argparse.ArgumentTypeError(
            f"give a number of folds, or {' or '.join(OFFICIAL)}, not {text!r}"
        )
    return int(text)


def _say_what_to_look_at(out: Path, folds: int | str | None) -> None:
    folder = out if folds is None else out / "fold0"
    if (folder / "montage.png").is_file():
        print(f"look at  {folder / 'montage.png'}, {folder / 'fingerprint.html'}")


def read_options(arguments: argparse.Namespace) -> ConversionOptions:
    """The options of the command line."""
    return ConversionOptions(
        bits=arguments.bits,
        max_side=arguments.max_side,
        keep_empty=parse_keep_empty(arguments.keep_empty),
        lungs=not arguments.no_lungs,
        fractions=tuple(arguments.fractions),
        seed=arguments.seed,
        folds=arguments.folds,
        own_split=not arguments.new_split,
        allow_leak=arguments.allow_leak,
        keep_going=arguments.keep_going,
        mask_orientation=parse_mask_orientation(arguments.mask_orientation),
    )
