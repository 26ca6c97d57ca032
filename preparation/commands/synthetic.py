"""prepare.py synthetic: a deterministic synthetic set of chest CT or X-rays with lesions."""

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from datasets.manifest import SPLITS
from datasets.synthetic.generate import write_synthetic_set
from datasets.synthetic.radiographs import write_synthetic_radiographs
from preparation.commands.output import bar, describe_folder_summary
from utils.cli import add_out_argument, positive_int
from utils.errors import UserError

_CT, _XRAY = "ct", "xray"
_SLICES = 12


def add_synthetic(commands: argparse._SubParsersAction) -> None:
    """The command synthetic."""
    parser = commands.add_parser(
        "synthetic", help="write a deterministic synthetic set of chest CT or X-rays with lesions"
    )
    add_out_argument(parser, required=True, metavar="DIR", help="new data folder")
    parser.add_argument(
        "--patients",
        type=int,
        nargs=3,
        default=(40, 8, 8),
        metavar=("TRAIN", "VAL", "TEST"),
        help="patients per split (default 40 8 8)",
    )
    parser.add_argument(
        "--modality",
        choices=(_CT, _XRAY),
        default=_CT,
        help="CT slices, or an X-ray of each of the same patients (default ct)",
    )
    parser.add_argument("--slices", type=int, help="of CT, per patient (default 12)")
    parser.add_argument("--size", type=int, default=256, help="px per side (default 256)")
    parser.add_argument("--seed", type=int, default=0, help="of the first patient (default 0)")
    parser.add_argument(
        "--min-severity",
        type=float,
        default=0.0,
        help="least severity of disease, 0 to 1: more and larger lesions (default 0)",
    )
    parser.add_argument(
        "--processes",
        type=positive_int,
        default=1,
        metavar="N",
        help="of CT, that draw patients side by side; the same files (default 1)",
    )
    parser.set_defaults(function=make_synthetic)


def make_synthetic(arguments: argparse.Namespace) -> None:
    """Write the synthetic set and say what it holds."""
    for name, least in (("slices", 1), ("size", 64), ("seed", 0)):
        given = getattr(arguments, name)
        if given is not None and given < least:
            raise UserError(f"--{name}: must be at least {least}")
    if min(arguments.patients) < 1:
        raise UserError("--patients: every split needs at least 1")
    if not 0 <= arguments.min_severity <= 1:
        raise UserError("--min-severity: must lie in 0 to 1")
    if arguments.slices and arguments.modality == _XRAY:
        raise UserError("--slices: an X-ray has none; leave it out")
    common = {
        "num_patients": dict(zip(SPLITS, arguments.patients, strict=True)),
        "image_size": arguments.size,
        "seed": arguments.seed,
        "min_severity": arguments.min_severity,
    }
    start = time.perf_counter()
    if arguments.modality == _XRAY:
        progress = bar("synthetic X-rays")
        summary = write_synthetic_radiographs(arguments.out, **common, progress=progress)
    else:
        with _processes(arguments.processes) as run:
            summary = write_synthetic_set(
                arguments.out,
                **common,
                num_slices=arguments.slices or _SLICES,
                progress=bar("synthetic CT"),
                run=run,
            )
    print(describe_folder_summary(arguments.out, summary, time.perf_counter() - start))


@contextmanager
def _processes(count: int) -> Iterator[Callable]:
    """map, or what does the same in several processes."""
    if count == 1:
        yield map
        return
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        yield pool.imap
