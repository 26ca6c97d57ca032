"""Run the tables of the papers, and make them; see --help."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from evaluation.results import RESULTS
from sweeps.board import Board
from sweeps.launch import LocalEngine, Options, default_threads, make_tasks
from sweeps.plan import OUT, Run, check_plans, plan_sweep
from sweeps.record import Record, check_record, fingerprint_data
from sweeps.results import Finished, collect, results_file
from sweeps.specification import SIZES, Sweep, read_sweep
from utils.cli import add_out_argument, add_set_argument, create_parser, positive_int, run_main
from utils.errors import MachineError, UserError
from utils.messages import count


class Planned(NamedTuple):
    """A sweep with its runs, and where its results go."""

    sweep: Sweep
    runs: list[Run]
    file: Path


def main() -> None:
    """Command line."""
    arguments = parse()
    planned = [plan(path, arguments) for path in arguments.sweeps]
    runs = check_plans([one.runs for one in planned])
    roots = {run.config.data.root for run in runs}
    data = {root: fingerprint_data(Path(root)) for root in sorted(roots)}
    finished = [run for run in runs if read_finished(run, data)]
    print(f"{count(len(runs), 'run')}, {len(finished)} finished before")
    try:
        launch(runs, data, arguments)
    finally:
        write_results(planned, data)


def plan(path: Path, arguments: argparse.Namespace) -> Planned:
    """A sweep's runs.

    Raises:
        UserError: As read_sweep and plan_sweep; names the file.
    """
    sweep, size = read_sweep(path), arguments.size
    try:
        runs = plan_sweep(
            *(path.stem, sweep, size),
            out=arguments.out,
            roots=dict(arguments.data),
            overrides=arguments.overrides,
        )
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return Planned(sweep, runs, results_file(path.stem, size, arguments.results))


def write_results(planned: Sequence[Planned], data: Mapping[str, str]) -> None:
    """A row per finished run into the CSV of its sweep."""
    for one in planned:
        found = [(run, read_finished(run, data)) for run in one.runs]
        finished = [Finished(run, record) for run, record in found if record]
        if collect(finished, one.sweep.baseline, one.file):
            print(f"results  {one.file}")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = create_parser(
        "Run every experiment of a table with every seed; what is finished is skipped, what was\n"
        "interrupted goes on.",
        "python sweep.py resources/sweeps/table5.yaml --size small --jobs 2 \\\n"
        "    --data coronacases10=data/coronacases10",
    )
    parser.add_argument("sweeps", type=Path, nargs="+", metavar="FILE", help="YAML of a sweep")
    parser.add_argument(
        "--size", choices=SIZES, default="small", help="tiny: minutes; small (default); paper: GPU"
    )
    parser.add_argument(
        "--data",
        type=_named_folder,
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="where a data set of the sweep lies (default: data/NAME); repeat for more",
    )
    add_out_argument(parser, metavar="DIR", default=OUT, help=f"of the runs (default: {OUT})")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, metavar="DIR", help="of the CSV files"
    )
    parser.add_argument("--jobs", type=positive_int, default=1, metavar="N", help="runs at once")
    parser.add_argument(
        "--gpus", type=_numbers, default=(), metavar="0,1", help="that the jobs take turns on"
    )
    parser.add_argument("--threads", type=positive_int, metavar="N", help="of each job")
    add_set_argument(parser)
    return parser.parse_args()


def read_finished(run: Run, data: Mapping[str, str]) -> Record | None:
    """The record of a run that is trained and scored, by the settings and the data of the plan."""
    record = check_record(run.folder, run.config, data[run.config.data.root])
    return record if record is not None and record.is_finished else None


def launch(
    runs: Sequence[Run],
    data: Mapping[str, str],
    arguments: argparse.Namespace,
) -> None:
    """Run what is left.

    Raises:
        MachineError: Runs failed; their names and the ends of their logs are printed before.
    """
    left = [run for run in runs if not read_finished(run, data)]
    threads = arguments.threads or default_threads(arguments.jobs)
    tasks = make_tasks(left, data, threads)
    board = Board(len(runs), len(runs) - len(left), tasks, arguments.jobs)
    engine = LocalEngine(Options(arguments.jobs, arguments.gpus, threads))
    with board.open():
        for task, outcome in engine.run(tasks, board.started):
            board.ended(task, outcome)
    print("\n".join([board.summary(), *board.describe_failures()]))
    if board.failures:
        names = ", ".join(task.name for task in board.failures)
        raise MachineError(f"{count(len(board.failures), 'run')} failed: {names}")


def _named_folder(text: str) -> tuple[str, Path]:
    """NAME=DIR."""
    name, separator, folder = text.partition("=")
    if not (name and separator and folder):
        raise argparse.ArgumentTypeError(f"write it as NAME=DIR, not {text!r}")
    return name, Path(folder)


def _numbers(text: str) -> tuple[int, ...]:
    """0,1 as numbers."""
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"write GPU numbers as 0,1, not {text!r}")
    return tuple(map(int, parts))


if __name__ == "__main__":
    run_main(main)
