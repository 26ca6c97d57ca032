"""Score tables of whole scans, and how many mL of lesion each has."""

from collections.abc import Mapping
from typing import Any

from evaluation.cells import Cell, Table, score_table
from evaluation.volume_scores import volume_metrics
from metrics.registry import METRICS, main_metrics
from utils.messages import count

_ROWS = {
    "mean over volumes": "",
    "standard deviation": "_std",
    "volumes with lesion": "_nonempty",
    "pooled over voxels": "_pooled",
}
_MOST_LISTED = 40


def volume_tables(summary: Mapping[str, Any]) -> list[Table]:
    """The tables of an evaluation's scans; none where slices alone were scored.

    Args:
        summary: As metrics.json has it, see VolumeScores.summary.
    """
    if (volumes := summary.get("volumes")) is None:
        return []
    main = main_metrics()
    more = [key for key in volume_metrics() if key not in main]
    kinds = {"Volumes": main, "Volumes, surfaces, lesions and more": more}
    tables = [score_table(caption, volumes, keys, _ROWS) for caption, keys in kinds.items()]
    is_listed = "ml_difference" in volumes and len(volumes["rows"]) <= _MOST_LISTED
    return [*tables, _millilitres(volumes)] if is_listed else tables


def volume_conventions(summary: Mapping[str, Any]) -> list[str]:
    """What the figures of scans mean; nothing where slices alone were scored."""
    if (volumes := summary.get("volumes")) is None:
        return []
    unit = volumes["distance_unit"]
    found = f"{volumes['num_lesions_found']} of {volumes['num_lesions']} lesions found"
    false = f"{volumes['num_pred_lesions_false']} of {volumes['num_pred_lesions']}"
    lines = [
        f"volumes: n = {volumes['n']}, overlap, volume error, surfaces (in space, tolerance "
        f"{volumes['surface_tolerance']:g} {unit}) and lesions (26-connected) of the whole scan, "
        "other metrics as means over its slices; a missed lesion or a false alarm of a whole scan "
        "has the scan's diagonal as distance",
        f"in volumes {found}, {false} predicted lesions false; "
        f"{count(volumes['num_empty_target'], 'volume')} without lesion",
    ]
    if "ml_difference" in volumes:
        lines[-1] += f"; volumes of lesion differ by {volumes['ml_difference']:.1f} mL in the mean"
    return lines


def _millilitres(volumes: Mapping[str, Any]) -> Table:
    """A row per scan: the volume of every kind of lesion, target and prediction."""
    keys = [key for key in volumes["rows"][0] if key.endswith("_ml")]
    heads = [
        f"{key.removeprefix('pred_').removesuffix('_ml')} mL"
        + (" predicted" if key.startswith("pred_") else "")
        for key in keys
    ]
    rows = [
        (
            row["name"],
            [Cell(METRICS["dice"].format(row["dice"])), *(Cell(f"{row[key]:.1f}") for key in keys)],
        )
        for row in volumes["rows"]
    ]
    return Table("Volumes, mL of lesion", [METRICS["dice"].title, *heads], rows)
