"""Dice over the number of labels, procedure by procedure, from finished runs; see --help."""

from pathlib import Path

from evaluation.curve.page import draw_curve, notes_of, table_of, write_page
from evaluation.curve.runs import UNITS, CurveRun, make_points, read_run
from evaluation.tables import format_grid
from utils.cli import add_out_argument, create_parser, run_main
from utils.files import cannot_write, whole_file, write_rows


def main() -> None:
    """Command line."""
    parser = create_parser(
        "Compare runs with few labels that test.py has scored: mean and deviation over seeds,\n"
        "paired tests against supervised, the share of the gap to all labels that is closed.\n"
        "Writes curve.csv (a row per run), points.csv, curve.png and index.html into --out.",
        "python -m evaluation.label_curve checkpoint/semi/*/seed* --full checkpoint/full/seed* "
        "--out curve",
    )
    parser.prog = "python -m evaluation.label_curve"
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of metrics.json")
    parser.add_argument(
        "--full",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="supervised runs with all labels, the line above the curves",
    )
    parser.add_argument("--by", choices=UNITS, default=UNITS[0], help="what is counted")
    add_out_argument(parser, required=True, metavar="DIR", help="folder of the results")
    arguments = parser.parse_args()
    runs = [read_run(folder, is_full=False) for folder in arguments.runs]
    runs += [read_run(folder, is_full=True) for folder in arguments.full]
    points = make_points(runs, arguments.by)
    print("\n".join([format_grid(table_of(points, arguments.by)), "", *notes_of(runs)]))
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(arguments.out, error) from error
    write_rows(arguments.out / "curve.csv", _rows(runs))
    write_rows(arguments.out / "points.csv", [_plain(p._asdict()) for p in points])
    with whole_file(arguments.out / "curve.png") as path:
        draw_curve(points, arguments.by).savefig(path, dpi=150)
    write_page(arguments.out / "index.html", runs, points, arguments.by)
    print(f"\n{arguments.out / 'index.html'}, curve.csv, points.csv, curve.png")


def _rows(runs: list[CurveRun]) -> list[dict]:
    """Every run, what it had and what it came to."""
    rows = []
    for run in runs:
        own = {"procedure": run.series, **{f"labelled_{u}": run.labels[u] for u in UNITS}}
        rows.append(own | run.row)
    keys = dict.fromkeys(key for row in rows for key in row)
    return [{key: row.get(key) for key in keys} for row in rows]


def _plain(point: dict) -> dict:
    return point | {"seeds": " ".join(map(str, point["seeds"]))}


if __name__ == "__main__":
    run_main(main)
