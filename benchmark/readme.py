"""From a benchmark's CSV to the README's table; see python -m benchmark.readme --help."""

import csv
from collections.abc import Sequence
from pathlib import Path

from utils.cli import create_parser, run_main
from utils.errors import UserError
from utils.readme import README, replace_table

_HEADS = ("step", "ms", "time over plain", "peak memory, MiB", "% of the matrix product's rate")


def main() -> None:
    """Command line."""
    parser = create_parser(
        "Write a benchmark's steps as the README's table of the file's name.",
        "python -m benchmark.readme resources/results/benchmark_cpu.csv",
    )
    parser.add_argument("file", type=Path, help="what python -m benchmark --out has written")
    path = parser.parse_args().file
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if row.get("kind") == "step"]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if not rows:
        raise UserError(f"{path}: no steps; python -m benchmark --out writes them")
    replace_table(README, path.stem, format_steps(rows))


def format_steps(rows: Sequence[dict[str, str]]) -> str:
    """The measured steps of a CSV as Markdown, with the setting under them."""
    lines = [f"| {' | '.join(_HEADS)} |", "|---" + "|---:" * (len(_HEADS) - 1) + "|"]
    for row in rows:
        name = f"{row['variant']}{' (configured)' if row['is_default'] == 'True' else ''}"
        if row["note"]:
            lines.append(f"| {name} | {row['note']} |" + " |" * (len(_HEADS) - 2))
            continue
        keys = ("milliseconds_median", "peak_memory_mib", "percent_of_matmul_rate")
        milliseconds, memory, share = (f"{float(row[key]):.0f}" for key in keys)
        ratio = f"{float(row['time_ratio_to_plain']):.2f}"
        lines.append(f"| {name} | {milliseconds} | {ratio} | {memory} | {share} |")
    first = rows[0]
    shares = [f"{float(r['percent_in_convolutions']):.0f} %" for r in rows if _is_configured(r)]
    lines += [
        "",
        f"{first['model']}, {int(first['num_parameters']):,} parameters, batch "
        f"{first['batch_size']} of {first['height']} x {first['width']} px, {first['processor']}, "
        f"{first['threads']} threads, torch {first['torch']}, median of {first['rounds']} rounds "
        f"in turn, {first['date']}. Convolutions take {', '.join(shares)} of the configured step.",
    ]
    return "\n".join(lines)


def _is_configured(row: dict[str, str]) -> bool:
    return row["is_default"] == "True" and bool(row["percent_in_convolutions"])


if __name__ == "__main__":
    run_main(main)
