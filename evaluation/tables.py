"""Score tables with their conventions, for a terminal and the report."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.cells import Table, score_table
from evaluation.class_tables import class_conventions, class_tables
from evaluation.volume_tables import volume_conventions, volume_tables
from metrics.protocols import PROTOCOLS
from metrics.registry import METRICS, main_metrics
from utils.messages import count

_ROWS = {
    "mean over slices": "",
    "standard deviation": "_std",
    "slices with lesion": "_nonempty",
    "pooled over pixels": "_pooled",
}
_LUNG_ROWS = {
    "lungs, mean over slices": "",
    "lungs, standard deviation": "_std",
    "lungs, pooled over pixels": "_pooled",
}


def score_tables(summary: Mapping[str, Any]) -> list[Table]:
    """The protocol's tables, those of scans and classes; a dash where a metric has no value.

    Args:
        summary: As metrics.json has it: Meter.summary() with protocol and intervals.
    """
    return [*_own_tables(summary), *volume_tables(summary), *class_tables(summary)]


def format_scores(summary: Mapping[str, Any]) -> str:
    """The tables with their conventions under them, as lines for a terminal.

    Args:
        summary: As score_tables.
    """
    texts = [format_table(table) for table in _own_tables(summary)]
    more = [*volume_tables(summary), *class_tables(summary)]
    texts += [f"{table.caption}\n{format_table(table)}" for table in more]
    return "\n".join(["\n\n".join(texts), *conventions(summary)])


def format_table(table: Table) -> str:
    """A table as lines: heads, then each row's scores and, below, intervals."""
    grid = [["", *table.heads]]
    for label, cells in table.rows:
        grid.append([label, *(cell.text for cell in cells)])
        if any(cell.interval for cell in cells):
            grid.append(["", *(cell.interval for cell in cells)])
    return format_grid(grid)


def format_grid(grid: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines, the first column to the left and the others to the right."""
    first, *widths = (max(map(len, column)) for column in zip(*grid, strict=True))
    lines = [
        line[0].ljust(first)
        + "".join(cell.rjust(2 + width) for cell, width in zip(line[1:], widths, strict=True))
        for line in grid
    ]
    return "\n".join(map(str.rstrip, lines))


def conventions(summary: Mapping[str, Any]) -> list[str]:
    """What the figures mean: n, size, policy, counts, intervals, a line each."""
    protocol = PROTOCOLS[summary["protocol"]]
    lines = [
        f"protocol {protocol.name}: {protocol.title}",
        f"in %{_distances(summary)}; n = {count(summary['n'], 'slice')}{_patients(summary)}, "
        f"scored at {_size(summary)}, lesion from probability {summary['threshold']:.4g}"
        f"{_least_size(summary)}",
        f"{count(summary['num_empty_target'], 'slice')} without lesion (empty_target: a blank "
        f"prediction there scores {summary['empty_target']}), false alarms on "
        f"{summary['num_false_alarm']} of them; {count(summary['num_missed'], 'slice')} whose "
        "lesion was missed whole",
    ]
    if "num_lesions" in summary:
        false, num_pred = summary["num_pred_lesions_false"], summary["num_pred_lesions"]
        volume_error = METRICS["volume_error"].format(summary["volume_error_patient"])
        lines.append(
            f"{summary['num_lesions_found']} of {summary['num_lesions']} lesions found, "
            f"{false} of {num_pred} predicted lesions false (8-connected, within a slice); error "
            f"of a patient's lesion volume {volume_error} % either way"
        )
    more = [*volume_conventions(summary), *class_conventions(summary), *_lungs(summary)]
    return [*lines, *more, _intervals(summary)]


def _least_size(summary: Mapping[str, Any]) -> str:
    """That small spots were left out, where they were."""
    size = summary.get("min_lesion_size")
    return f" in spots of {size} px or more of the network's input" if size else ""


def _own_tables(summary: Mapping[str, Any]) -> list[Table]:
    """The protocol's, and that of the lungs."""
    tables = PROTOCOLS[summary["protocol"]].tables()
    lesions = [score_table(caption, summary, keys, _ROWS) for caption, keys in tables.items()]
    if "lung" not in summary:
        return lesions
    return [*lesions, score_table("Lungs", summary["lung"], main_metrics(), _LUNG_ROWS)]


def _lungs(summary: Mapping[str, Any]) -> list[str]:
    """What the lungs are scored against, and that they were not drawn by anyone if so."""
    lines = []
    if lung := summary.get("lung"):
        lines.append(
            f"lungs: {count(lung['n'], 'slice')} with a lung mask, the lung head at probability "
            f"{lung['threshold']:.4g}, maps as they are"
        )
    derived = [use for use, kind in summary.get("lung_masks", {}).items() if kind == "derived"]
    if derived:
        lines.append(
            f"lung masks of {' and '.join(derived)}: derived by the built-in segmentation "
            "(data.lung=derived), no annotation"
        )
    return lines


def _distances(summary: Mapping[str, Any]) -> str:
    if "surface_tolerance" not in summary:
        return ""
    unit = summary["distance_unit"]
    return f", distances in {unit}, tolerance of Surf. Dice {summary['surface_tolerance']:g} {unit}"


def _patients(summary: Mapping[str, Any]) -> str:
    known = summary["interval_unit"] == "patient"
    return f" of {summary['n_patients']} patients" if known else ", patients not known"


def _size(summary: Mapping[str, Any]) -> str:
    size = summary["scored_at"]
    return f"{size[0]} x {size[1]} px" if size else "their own sizes"


def _intervals(summary: Mapping[str, Any]) -> str:
    """How the intervals were taken, or why there are none."""
    unit = summary["interval_unit"]
    if not any((summary.get("intervals") or {}).values()):
        return f"no intervals: they need cases of two {unit}s"
    few = summary["n_patients"] if unit == "patient" else summary["n"]
    warning = f"; {few} {unit}s are few: the intervals are too narrow" if few < 10 else ""
    return (
        f"below each score its {100 * summary['interval_level']:g} % interval (percentile "
        f"bootstrap by {unit}, {summary['num_resamples']:,} draws){warning}"
    )
