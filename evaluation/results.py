"""From metrics.json to the result tables; see python -m evaluation.results --help."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.tables import percent
from metrics.protocols import INFNET, PROTOCOLS
from utils.cli import create_parser, run_main
from utils.config_loader import RESOURCES
from utils.errors import UserError
from utils.files import write_rows
from utils.readme import README, replace_table

# Column of the README's table: key of metrics.json.
_PERCENT = {
    "Dice ↑": "dice",
    "Dice, slices with lesion ↑": "dice_nonempty",
    "Dice, pooled ↑": "dice_pooled",
    "Sens. ↑": "sensitivity",
    "Prec. ↑": "precision",
    "MAE ↓": "mae",
    "E_phi ↑": "e_measure_mean",
    "S_alpha ↑": "s_measure",
}
_COUNTS = ("n", "n_patients", "num_empty_target", "num_false_alarm", "num_missed")


def main() -> None:
    """Command line."""
    parser = create_parser(
        "Write scored runs as rows of resources/results/NAME.csv and of the README's table NAME.",
        "python -m evaluation.results coronacases checkpoint/coronacases/seed2",
    )
    parser.add_argument("name", help="of the table: <!-- results:NAME --> in the README")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of metrics.json")
    arguments = parser.parse_args()
    rows = [read_row(run) for run in arguments.runs]
    write_rows(RESOURCES / "results" / f"{arguments.name}.csv", rows)
    replace_table(README, arguments.name, format_table(rows))


def read_row(run: Path) -> dict[str, Any]:
    """One scored run: what it was, its scores as fractions, its conventions."""
    path = run / "metrics.json"
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: no scores; test.py writes them") from error
    protocol = scores.get("protocol")
    if protocol == INFNET.name or protocol not in PROTOCOLS:
        raise UserError(
            f"{path}: protocol {protocol}; score the run again, by native or cosup, for this table"
        )
    info, size = scores["run_info"], scores["scored_at"]
    git = info["git"] or {"sha": "", "dirty": ""}
    low, high = scores["intervals"]["dice"] or (None, None)
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
        **{key: scores[key] for key in (*_COUNTS, *_PERCENT.values())},
        "empty_target": scores["empty_target"],
        "threshold": scores["threshold"],
        "num_parameters": info["num_parameters"],
        "precision_of_arithmetic": info["precision"],
        "hardware": info["hardware"].get("gpu") or info["hardware"]["processor"],
        "git_sha": git["sha"],
        "git_dirty": git["dirty"],
    }


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown, scores in per cent, with the conventions under them."""
    heads = ["run", "data, split", *_PERCENT]
    lines = [f"| {' | '.join(heads)} |", "|---" * 2 + "|---:" * len(_PERCENT) + "|"]
    for row in rows:
        dice, *scores = (percent(row[key]) for key in _PERCENT.values())
        if row["dice_low"] is not None:
            dice += f" ({100 * row['dice_low']:.1f}–{100 * row['dice_high']:.1f})"
        cells = (f"`{row['run']}`", f"{row['data_set']}, {row['split']}", dice, *scores)
        lines.append(f"| {' | '.join(cells)} |")
    notes = []
    for row in rows:
        note = (
            f"{row['data_set']}, {row['split']}: n = {row['n']} slices of {row['n_patients']} "
            f"patients, {row['num_empty_target']} without lesion, protocol {row['protocol']}, "
            f"scored at {row['size']} px, threshold {row['threshold']:.4g}, a blank prediction on "
            f"a slice without lesion scores {row['empty_target']}; in brackets the 95 % interval "
            f"by {row['interval_unit']}."
        )
        notes += [note] * (note not in notes)
    seeds = sorted({row["seed"] for row in rows})
    notes.append(f"In %. Seeds: {', '.join(map(str, seeds))}; one run a row.")
    return "\n".join([*lines, "", *notes])


if __name__ == "__main__":
    run_main(main)
