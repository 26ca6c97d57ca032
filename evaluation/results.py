"""From metrics.json to CSV, and from CSV to every table of results; see --help."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.benchmark_tables import format_benchmark, format_zoo
from evaluation.readme import list_tables, replace_table
from evaluation.recipe_tables import format_recipe
from metrics.protocols import INFNET, PROTOCOLS
from metrics.registry import METRICS, MISSING, Metric, column, dice_variants, main_metrics
from training.run_info import git_columns
from utils.cli import create_parser, run_main
from utils.config_loader import RESOURCES
from utils.errors import UserError
from utils.files import parse_json, read_rows, write_rows

RESULTS = RESOURCES / "results"
PAGES = (RESOURCES.parent / "README.md", RESULTS / "README.md")
_COUNTS = ("n", "n_patients", "num_empty_target", "num_false_alarm", "num_missed")
_ENDS = ("low", "high")  # of the interval
_CLASS = "class: "
_LUNG_USES = ("training", "scoring")
_POSTER_KEYS = ("iou", "dice", "mae", "f_measure_max", "f_measure_mean")


def main() -> None:
    """Command line."""
    parser = create_parser(
        "Rebuild every table of README.md and resources/results/README.md from\n"
        "resources/results/*.csv; with NAME and runs, write these into NAME.csv first.",
        "python -m evaluation.results\n"
        "  python -m evaluation.results coronacases checkpoint/coronacases/seed2",
    )
    parser.prog = "python -m evaluation.results"
    parser.add_argument("name", nargs="?", help="of the table: <!-- results:NAME --> in a page")
    parser.add_argument("runs", type=Path, nargs="*", metavar="RUN", help="folder of metrics.json")
    arguments = parser.parse_args()
    if arguments.name:
        if not arguments.runs:
            parser.error(f"{arguments.name}: name the runs whose scores are its rows")
        rows = [read_row(run) for run in arguments.runs]
        keys = dict.fromkeys(key for row in rows for key in row)  # not every run has classes
        filled = [{key: row.get(key) for key in keys} for row in rows]
        write_rows(RESULTS / f"{arguments.name}.csv", filled)
    for page in PAGES:
        rebuild_tables(page)


def rebuild_tables(page: Path, results: Path = RESULTS) -> None:
    """Write every table of a page again, from <results>/<its name>.csv.

    Raises:
        UserError: A CSV is missing or is no table of results, or the page cannot be written.
    """
    for name in list_tables(page):
        path = results / f"{name}.csv"
        rows = read_rows(path)
        try:
            table = _FORMATTERS.get(name, format_table)(rows)
        except (KeyError, ValueError) as error:
            raise UserError(f"{path}: no rows of the table {name} ({error})") from error
        replace_table(page, name, table)


def read_row(run: Path) -> dict[str, Any]:
    """One scored run: what it was, its scores as fractions, its conventions."""
    path = run / "metrics.json"
    try:
        scores = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no scores; test.py writes them") from error
    protocol = scores.get("protocol")
    if protocol == INFNET.name or protocol not in PROTOCOLS:
        raise UserError(
            f"{path}: protocol {protocol}; score the run again, by native or cosup, for this table"
        )
    info, size = scores["run_info"], scores["scored_at"]
    low, high = scores["intervals"]["dice"] or (None, None)
    columns = _columns()
    if lost := [key for key in columns if key not in scores]:
        raise UserError(f"{path}: no {lost[0]}; score the run again with test.py")
    return {
        "run": scores["run"],
        "seed": scores["seed"],
        "epoch": scores["epoch"],
        "data_set": scores["data_set"],
        "split": scores["split"],
        "protocol": scores["protocol"],
        "size": f"{size[0]} x {size[1]}" if size else "own",
        "dice_low": low,
        "dice_high": high,
        "interval_unit": scores["interval_unit"],
        **{key: scores[key] for key in (*_COUNTS, *columns)},
        **{key: scores[key] for key in METRICS if key in scores and key not in columns},
        **{f"{key}_std": scores[f"{key}_std"] for key in METRICS if f"{key}_std" in scores},
        "lung_dice": scores.get("lung", {}).get("dice"),
        "lung_dice_std": scores.get("lung", {}).get("dice_std"),
        **_classes(scores),
        **{f"lung_masks_{use}": scores.get("lung_masks", {}).get(use) for use in _LUNG_USES},
        "empty_target": scores["empty_target"],
        "threshold": scores["threshold"],
        "num_parameters": info["num_parameters"],
        "precision_of_arithmetic": info["precision"],
        "hardware": info["hardware"].get("gpu") or info["hardware"]["processor"],
        **git_columns(info["git"]),
    }


def _classes(scores: Mapping[str, Any]) -> dict[str, float]:
    """Pooled Dice of every class and their mean; {} where none are told apart."""
    if "classes" not in scores:
        return {}
    own = {name: one["dice_pooled"] for name, one in scores["classes"].items()}
    named = {f"{_CLASS}{name}": value for name, value in own.items()}
    return {"class_mean": scores["class_mean"]["dice_pooled"], **named}


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown, scores in per cent, with the conventions under them.

    Args:
        rows: Of read_row, or as a CSV has them, as text.
    """
    columns = {key: head for key, head in _columns().items() if key in rows[0]}
    heads = ["run", "data, split", *columns.values()]
    lines = [f"| {' | '.join(heads)} |", "|---" * 2 + "|---:" * len(columns) + "|"]
    for row in rows:
        scores = {key: _format(key, row[key]) for key in columns}
        if row["dice_low"] not in (None, ""):
            low, high = (METRICS["dice"].format(float(row[f"dice_{end}"]), 1) for end in _ENDS)
            scores["dice"] += f" ({low}–{high})"
        cells = (f"`{row['run']}`", f"{row['data_set']}, {row['split']}", *scores.values())
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_notes(rows)])


def format_deviations(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown, each score with its standard deviation over the slices.

    The columns are those of the poster of dual supervision (He, Wong, Yoo), and the lungs' Dice.

    Args:
        rows: As format_table.
    """
    heads = [METRICS[key].title for key in _POSTER_KEYS]
    lines = [f"| run | seed | {' | '.join(heads)} | Lung Dice ↑ |"]
    lines.append("|---|---:|" + "---:|" * (len(heads) + 1))
    for row in rows:
        cells = [_with_deviation(row, key, METRICS[key]) for key in _POSTER_KEYS]
        cells.append(_with_deviation(row, "lung_dice", METRICS["dice"]))
        lines.append(f"| `{row['run']}` | {row['seed']} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "± standard deviation over the slices.", *_notes(rows)])


def format_classes(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown: Dice of any lesion, and of every class where they are told apart.

    Args:
        rows: As format_table.
    """
    classes = [key for key in rows[0] if key.startswith(_CLASS)]
    keys = ["dice", "dice_pooled", *classes, "class_mean"]
    heads = ["any lesion", "any lesion, pooled", *(key.removeprefix(_CLASS) for key in classes)]
    lines = [f"| run | seed | {' | '.join([*heads, 'mean of the classes'])} |"]
    lines.append("|---|---:|" + "---:|" * len(keys))
    for row in rows:
        cells = [_with_deviation(row, key, METRICS["dice"]) for key in keys]
        lines.append(f"| `{row['run']}` | {row['seed']} | {' | '.join(cells)} |")
    note = "Dice; that of the classes pooled over pixels; ± standard deviation over the slices."
    return "\n".join([*lines, "", note, *_notes(rows)])


def _with_deviation(row: dict[str, Any], key: str, metric: Metric) -> str:
    """A score, with its deviation where it has one."""
    mean, deviation = (row.get(k) for k in (key, f"{key}_std"))
    texts = [metric.format(float(v)) for v in (mean, deviation) if v not in (None, "")]
    return " ± ".join(texts) or MISSING


def _notes(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The conventions, each said once."""
    notes = []
    for row in rows:
        note = (
            f"{row['data_set']}, {row['split']}: n = {row['n']} slices of {row['n_patients']} "
            f"patients, {row['num_empty_target']} without lesion, protocol {row['protocol']}, "
            f"scored at {row['size']} px, threshold {float(row['threshold']):.4g}, a blank "
            f"prediction on a slice without lesion scores {row['empty_target']}; in brackets the "
            f"95 % interval by {row['interval_unit']}."
        )
        notes += [note] * (note not in notes)
        if derived := [use for use in _LUNG_USES if row.get(f"lung_masks_{use}") == "derived"]:
            uses = " and ".join(derived)
            note = f"`{row['run']}`: lung masks of {uses} derived by the built-in segmentation."
            notes += [note] * (note not in notes)
    seeds = sorted({int(row["seed"]) for row in rows})
    return [*notes, f"In %. Seeds: {', '.join(map(str, seeds))}; one run a row."]


def _columns() -> dict[str, str]:
    """Head of a table by key: the main metrics, Dice with its variants."""
    return {key: column(key).title for key in ("dice", *dice_variants(), *main_metrics())}


def _format(key: str, value: Any) -> str:
    """A score as a table prints it."""
    return column(key).format(None if value in (None, "") else float(value))


# All other tables are of scored runs, by format_table.
_FORMATTERS = {
    "benchmark_cpu": format_benchmark,
    "zoo": format_zoo,
    "dual_supervision": format_deviations,
    "dual_supervision_xray": format_deviations,
    "classes": format_classes,
    "robust": format_recipe,
}

if __name__ == "__main__":
    run_main(main)
