"""Score tables of several classes: each against the rest, their mean, areas, confusion."""

from collections.abc import Mapping
from typing import Any

from evaluation.cells import Cell, Table, score_cell, without_blank_rows
from metrics.registry import METRICS, MISSING, main_metrics

_BACKGROUND = "background"
_VARIANTS = {
    "mean over slices": "",
    "slices that show the class": "_nonempty",
    "pooled over pixels": "_pooled",
}


def class_tables(summary: Mapping[str, Any]) -> list[Table]:
    """The tables of an evaluation's classes; none where lesion is not divided.

    Args:
        summary: As metrics.json has it, see ClassScores.summary.
    """
    if "classes" not in summary:
        return []
    tables = [_scores(summary, caption, suffix) for caption, suffix in _VARIANTS.items()]
    return [*map(without_blank_rows, tables), _areas(summary), _confusion(summary)]


def class_conventions(summary: Mapping[str, Any]) -> list[str]:
    """What the figures of classes mean; nothing where lesion is not divided."""
    if "classes" not in summary:
        return []
    return [
        "classes: one against the rest, a px being of its likeliest class, and the metrics of soft "
        "maps by the class's own probability; the mean is over the classes that a slice shows",
        "tables without classes: any lesion, of probability 1 - that of the background",
    ]


def _scores(summary: Mapping[str, Any], caption: str, suffix: str) -> Table:
    """A row per class, and their mean."""
    keys = main_metrics()
    rows = [
        (
            name,
            [
                score_cell(key, own.get(key + suffix), own["intervals"].get(key + suffix))
                for key in keys
            ],
        )
        for name, own in summary["classes"].items()
    ]
    mean = [score_cell(key, summary["class_mean"].get(key + suffix)) for key in keys]
    rows.append(("mean of the classes", mean))
    return Table(f"Classes, {caption}", [METRICS[key].title for key in keys], rows)


def _areas(summary: Mapping[str, Any]) -> Table:
    """How much of every class there is and is predicted."""
    heads = ["slices", "area px", "predicted px"]
    in_cm2 = all("area_cm2" in own for own in summary["classes"].values())
    heads += ["area cm²", "predicted cm²"] * in_cm2
    heads += ["lesions found", "false lesions", "error of a patient's volume %"]
    rows = []
    for name, own in summary["classes"].items():
        cells = [str(own["n"] - own["num_empty_target"])]
        cells += [f"{own[key]:,}" for key in ("area_px", "pred_area_px")]
        cells += [f"{own[key]:.1f}" for key in ("area_cm2", "pred_area_cm2") if in_cm2]
        cells.append(f"{own['num_lesions_found']} of {own['num_lesions']}")
        cells.append(f"{own['num_pred_lesions_false']} of {own['num_pred_lesions']}")
        cells.append(METRICS["volume_error"].format(own["volume_error_patient"]))
        rows.append((name, [Cell(text) for text in cells]))
    return Table("Classes, how much there is", heads, rows)


def _confusion(summary: Mapping[str, Any]) -> Table:
    """Targets in rows: the share of each that is predicted as what, and px."""
    names = [_BACKGROUND, *summary["classes"]]
    rows = []
    for name, counts in zip(names, summary["confusion_matrix"], strict=True):
        total = sum(counts)
        shares = [f"{100 * n / total:.2f}" if total else MISSING for n in counts]
        cells = [Cell(share, f"{n:,} px") for share, n in zip(shares, counts, strict=True)]
        rows.append((name, cells))
    heads = [f"as {name}" for name in names]
    return Table("Classes, what the px of each are predicted as, in %", heads, rows)
