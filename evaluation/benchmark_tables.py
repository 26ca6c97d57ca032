"""The tables of speed as Markdown: the training step, and the zoo of networks."""

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
# For each column its head, its key in a row, and the format of a number; '' for a text.
Columns = Mapping[str, tuple[str, str]]

_STEP_COLUMNS = {
    "ms": ("milliseconds_median", ".0f"),
    "time over plain": ("time_ratio_to_plain", ".2f"),
    "peak memory, MiB": ("peak_memory_mib", ".0f"),
    "% of the matrix product's rate": ("percent_of_matmul_rate", ".0f"),
}
ZOO_COLUMNS = {
    "parameters": ("num_parameters", ",.0f"),
    "GFLOP": ("gflop_forward", ".1f"),
    "outputs": ("outputs", ""),
    "own loss": ("own_loss", ""),
    "ms/step": ("milliseconds_median", ",.0f"),
    "images/s × U-Net": ("speed_ratio_to_unet", ".2f"),
    "MiB": ("peak_memory_mib", ",.0f"),
}


def format_benchmark(rows: Sequence[Row]) -> str:
    """The training steps of a benchmark, and under them what they were measured on.

    Args:
        rows: Of the CSV of python -m benchmark; those of loader and evaluation are left out.
    """
    steps = [row for row in rows if row["kind"] == "step"]
    lines = [f"| step | {' | '.join(_STEP_COLUMNS)} |", "|---" + "|---:" * len(_STEP_COLUMNS) + "|"]
    for row in steps:
        name = row["variant"] + " (configured)" * (row["is_default"] == "True")
        cells = format_cells(row, _STEP_COLUMNS)
        if row["note"]:
            cells = [row["note"], *[""] * (len(cells) - 1)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    row = steps[0]
    setting = (
        f"{row['model']}, {int(row['num_parameters']):,} parameters, batch {row['batch_size']} of "
        f"{row['height']} x {row['width']} px, {_describe_timing(row)}, {row['date']}."
    )
    for row in steps:
        if row["is_default"] == "True" and row["percent_in_convolutions"]:
            share = float(row["percent_in_convolutions"])
            setting += f" Convolutions take {share:.0f} % of the configured step."
    return "\n".join([*lines, "", setting])


def format_zoo(rows: Sequence[Row]) -> str:
    """Every network with its size and speed, and under them what they were measured on.

    Args:
        rows: Of the CSV of python -m benchmark zoo.
    """
    heads = ["network", "paper", *ZOO_COLUMNS, "licence of the reference"]
    numbers = [head for head, (_, form) in ZOO_COLUMNS.items() if form]
    rules = ["---:" if head in numbers else ":---" for head in heads]
    lines = [f"| {' | '.join(heads)} |", f"|{'|'.join(rules)}|"]
    for row in rows:
        name, costs = f"{row['title']} (`{row['name']}`)", format_cells(row, ZOO_COLUMNS)
        cells = [name, row["paper"], *costs, row["reference_licence"]]
        lines.append(f"| {' | '.join(cells)} |")
    row = rows[0]
    setting = (
        f"One grey channel of {row['size']} x {row['size']} px, {row['date']}. GFLOP: forward pass "
        "of one slice, 2 per multiply-add, convolutions and matrix products. ms/step, images/s and "
        f"peak memory: training step of batch {row['batch_size']} under the own loss, "
        f"{row['precision']} {'channels_last' if row['channels_last'] == 'True' else 'contiguous'},"
        f" {_describe_timing(row)} with the U-Net; memory of the "
        f"{'tensors' if row['device'] == 'cuda' else 'whole process'}."
    )
    return "\n".join([*lines, "", setting, *notes(rows, "name")])


def format_cells(row: Row, columns: Columns) -> list[str]:
    """A row's values as text; a dash where there is none."""
    values = [(row.get(key), form) for key, form in columns.values()]
    return [
        "-" if value in (None, "") else f"{float(value):{form}}" if form else str(value)
        for value, form in values
    ]


def notes(rows: Sequence[Row], name: str) -> list[str]:
    """A line for each row that could not be measured.

    Args:
        rows: Of a benchmark.
        name: Key of a row's name.
    """
    return [f"{row[name]}: not measured, {row['note']}" for row in rows if row.get("note")]


def _describe_timing(row: Row) -> str:
    return (
        f"{row['processor']}, {row['threads']} threads, torch {row['torch']}, median of "
        f"{row['rounds']} rounds in turn"
    )
