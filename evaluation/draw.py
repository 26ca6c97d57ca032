"""The paper's figures 6, 7 and 8 of any checkpoints; see --help."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from evaluation.paper_figures import lesion_areas, pick_by_area, save_paper_figures
from training.split import Split, open_split
from training.trained_run import TrainedRun, name_runs, open_run
from utils.cli import (
    add_out_argument,
    add_set_argument,
    create_parser,
    positive_int,
    run_main,
)
from utils.errors import UserError, suggestion

_NUM_CASES = 4


def main() -> None:
    """Command line."""
    arguments = _parse_arguments()
    names = name_runs(arguments.checkpoint)
    first = open_run(arguments.checkpoint[0], names[0], arguments.overrides)
    split = open_split(first.config.data, arguments.split)
    if split.name != arguments.split:
        print(f"{first.config.data.root} has no {arguments.split}: drawing {split.name}")
    if arguments.cases:
        picked = find_cases(split, arguments.cases)
    else:
        picked = pick_by_area(lesion_areas(first.config, split), arguments.num_cases)
    print(f"cases    {', '.join(split.slices[index].name for index in picked)}")

    def runs() -> Iterator[TrainedRun]:
        yield first
        for path, name in zip(arguments.checkpoint[1:], names[1:], strict=True):
            yield open_run(path, name, arguments.overrides, first.config.data)

    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        written = save_paper_figures(arguments.out, runs(), split, picked)
    except OSError as error:
        raise UserError(
            f"--out {arguments.out}: cannot be written ({error.strerror}); choose another folder"
        ) from error
    print(f"figures  {', '.join(map(str, written))}")


def find_cases(split: Split, names: Sequence[str]) -> list[int]:
    """Indices of named cases, each once.

    Raises:
        UserError: The split has no such case; names the nearest one.
    """
    places = {files.name: index for index, files in enumerate(split.slices)}
    for name in names:
        if name not in places:
            raise UserError(
                f"--cases: {split.name} has no case {name!r}{suggestion(name, places)}; the "
                f"{len(places)} cases are named as their image files, such as {min(places)}"
            )
    return [places[name] for name in dict.fromkeys(names)]


def _parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = create_parser(
        "Draw the paper's figure 6 (predictions of one or several runs), and figures 7 (side\n"
        "outputs) and 8 (attention fusion) of each run that has them, as PNG of page width.",
        "python -m evaluation.draw --checkpoint checkpoint/quickstart/seed2/best.pt --out figures",
    )
    parser.prog = "python -m evaluation.draw"
    parser.add_argument(
        "--checkpoint", type=Path, nargs="+", required=True, metavar="FILE", help="one per run"
    )
    add_out_argument(parser, required=True, metavar="DIR")
    parser.add_argument(
        "--split",
        choices=("train", "val", "test"),
        default="test",
        help="of the first run's data set, or of --set data.root=DIR (default: test)",
    )
    cases = parser.add_mutually_exclusive_group()
    cases.add_argument("--cases", nargs="+", metavar="NAME", help="file stems of the slices")
    cases.add_argument(
        "--num-cases",
        type=positive_int,
        default=_NUM_CASES,
        metavar="N",
        help=f"slices with lesion, from small to large ones (default: {_NUM_CASES})",
    )
    add_set_argument(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run_main(main)
