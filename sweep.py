"""Run the tables of the papers, and make them; see --help."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from evaluation.results import RESULTS
from evaluation.tables import format_grid
from sweeps.board import Board
from sweeps.clusters import ENGINES, create_engine
from sweeps.launch import Options, default_threads, make_tasks
from sweeps.pages import rebuild_pages
from sweeps.plan import OUT
from sweeps.session import Session
from sweeps.specification import SIZES, sweep_path
from utils.cli import add_out_argument, add_set_argument, create_parser, positive_int, run_main
from utils.errors import MachineError
from utils.messages import count


def main() -> None:
    """Command line."""
    arguments = parse()
    if arguments.sweeps:
        session = Session(
            arguments.sweeps,
            arguments.size,
            out=arguments.out,
            results=arguments.results,
            roots=dict(arguments.data),
            overrides=arguments.overrides,
            second_masks=dict(arguments.second_masks),
            rows=arguments.rows,
        )
        if arguments.dry_run:
            show_plan(session, arguments.jobs)
            return
        run_session(session, arguments)
        if arguments.matrix:
            threads = arguments.threads or default_threads(1)
            show("matrix", session.fill_matrices(threads))
        if arguments.figures:
            show("figures", session.draw())
    if arguments.tables:
        show("tables", rebuild_pages(arguments.results))


def show(kind: str, files: Sequence[Path]) -> None:
    """A line for every file that was written."""
    for file in files:
        print(f"{kind:<8} {file}")


def parse() -> argparse.Namespace:
    """The arguments, once they go together."""
    parser = create_parser(
        "Run every row of a table with every seed: what is finished is skipped, what was\n"
        "interrupted goes on. Make the tables from the results.",
        "python sweep.py table5 --size small --jobs 2 --data coronacases10=data/coronacases10\n"
        "  python sweep.py --tables",
    )
    parser.add_argument(
        "sweeps",
        type=sweep_path,
        nargs="*",
        metavar="SWEEP",
        help="of resources/sweeps, such as table5, or the YAML of your own",
    )
    parser.add_argument(
        "--size", choices=SIZES, default="small", help="tiny: minutes; small (default); paper: GPU"
    )
    _add_place_arguments(parser)
    parser.add_argument(
        "--rows",
        type=_names,
        default=(),
        metavar="ROW,ROW",
        help="run these rows alone, such as unet,resunet; the CSV keeps the others",
    )
    _add_launch_arguments(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="show the plan and an estimate of its time"
    )
    parser.add_argument("--tables", action="store_true", help="make every table from the CSV files")
    parser.add_argument(
        "--figures", action="store_true", help="draw figures 6 to 8 and the curves, PNG and PDF"
    )
    parser.add_argument(
        "--matrix", action="store_true", help="test every network on every data set of its sweep"
    )
    add_set_argument(parser)
    arguments = parser.parse_args()
    if not arguments.sweeps and (not arguments.tables or arguments.figures or arguments.matrix):
        parser.error("name a sweep, such as table5; --tables needs none")
    return arguments


def _add_place_arguments(parser: argparse.ArgumentParser) -> None:
    """Where data is, and where runs and results go."""
    parser.add_argument(
        "--data",
        type=_named_folder,
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="where a data set of the sweep lies (default: data/NAME); repeat for more",
    )
    parser.add_argument(
        "--second-masks",
        type=_named_folder,
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="a second annotator's masks of a data set's test slices: a row of its tables",
    )
    add_out_argument(parser, metavar="DIR", default=OUT, help=f"of the runs (default: {OUT})")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, metavar="DIR", help="of the CSV files and tables"
    )


def _add_launch_arguments(parser: argparse.ArgumentParser) -> None:
    """What starts the runs, and how many at once."""
    parser.add_argument("--jobs", type=positive_int, default=1, metavar="N", help="runs at once")
    parser.add_argument(
        "--gpus", type=_numbers, default=(), metavar="0,1", help="that the jobs take turns on"
    )
    parser.add_argument(
        "--threads", type=positive_int, metavar="N", help="of each job (default: an equal share)"
    )
    parser.add_argument(
        "--engine", choices=ENGINES, default="local", help="what starts the runs (default: local)"
    )
    parser.add_argument(
        "--slurm",
        type=_setting,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of SLURM, such as partition=gpu or time=240; repeat for more",
    )


def show_plan(session: Session, jobs: int) -> None:
    """Every run with its state, and how long those that are left will take."""
    from sweeps.estimate import measure_seconds  # the networks are built for it alone

    left = set(id(run) for run in session.left)
    grid = [["run", "state", "folder"]]
    for run in session.chosen:
        begun = "interrupted" if run.folder.can_go_on() else "new"
        state = begun if id(run) in left else "finished"
        grid.append([run.name, state, str(run.folder.path)])
    print(format_grid(grid))
    seconds = sum(measure_seconds(session.left)) / jobs
    print(
        f"{count(len(session.chosen), 'run')}, {len(session.left)} to run; by a measured step at "
        f"most {seconds / 60:.1f} min of training with --jobs {jobs}, if jobs do not slow each "
        "other down"
    )


def run_session(session: Session, arguments: argparse.Namespace) -> None:
    """Run what is left, and write the results.

    Raises:
        MachineError: Runs failed; their names and the ends of their logs are printed before.
    """
    num_runs, num_left = len(session.chosen), len(session.left)
    print(f"{count(num_runs, 'run')}, {num_runs - num_left} finished before", flush=True)
    threads = arguments.threads or default_threads(arguments.jobs)
    tasks = make_tasks(session.left, session.data, threads)
    board = Board(num_runs, num_runs - num_left, tasks, arguments.jobs)
    options = Options(arguments.jobs, arguments.gpus, threads)
    folder = arguments.out / "submitit"
    engine = create_engine(arguments.engine, options, folder, dict(arguments.slurm))
    try:
        with board.open():
            for task, outcome in engine.run(tasks, board.started):
                board.ended(task, outcome)
                if outcome.code == 0:  # the tables may be made while the rest runs
                    session.write_results(task.name)
        session.compare_annotators()
    finally:
        show("results", session.write_results())
    print("\n".join([board.summary(), *board.describe_failures()]))
    if board.failures:
        names = ", ".join(task.name for task in board.failures)
        raise MachineError(f"{count(len(board.failures), 'run')} failed: {names}")


def _setting(text: str) -> tuple[str, str]:
    """NAME=VALUE."""
    name, _, value = text.partition("=")
    if not (name and value):
        raise argparse.ArgumentTypeError(f"write it as NAME=..., not {text!r}")
    return name, value


def _named_folder(text: str) -> tuple[str, Path]:
    """NAME=DIR."""
    name, folder = _setting(text)
    return name, Path(folder)


def _names(text: str) -> tuple[str, ...]:
    """a,b as names."""
    names = tuple(part.strip() for part in text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError(f"write rows as unet,resunet, not {text!r}")
    return names


def _numbers(text: str) -> tuple[int, ...]:
    """0,1 as numbers."""
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"write GPU numbers as 0,1, not {text!r}")
    return tuple(map(int, parts))


if __name__ == "__main__":
    run_main(main)
