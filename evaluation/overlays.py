"""Overlays of the best, median and worst cases of an evaluation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.cases import CaseSource
from figures.cases import save_overlay
from figures.classes import save_class_overlay
from metrics.meter import CurveMeter

_CASES_EACH = 3


def pick_cases(rows: Sequence[dict[str, Any]], count: int = _CASES_EACH) -> dict[str, int]:
    """Row indices of the best, median and worst cases with lesion, by Dice.

    Args:
        rows: Meter.rows.
        count: Cases of each kind; fewer where the rows run out.

    Returns:
        Index by label (best_1, median_1, worst_1 ...); no case stands twice.
    """
    order = [i for i, row in enumerate(rows) if row["lesion_px"]] or list(range(len(rows)))
    order.sort(key=lambda i: -rows[i]["dice"])
    middle = max((len(order) - count) // 2, 0)
    places = {
        "best": order[:count],
        "worst": order[::-1][:count],
        "median": order[middle : middle + count],
    }
    picked: dict[str, int] = {}
    for label, indices in places.items():
        for rank, index in enumerate(indices, 1):
            if index not in picked.values():
                picked[f"{label}_{rank}"] = index
    return picked


def save_overlays(folder: Path, source: CaseSource, meter: CurveMeter) -> None:
    """Predict the picked cases again and draw them: no map of another case is ever kept.

    Args:
        folder: Existing folder for <label>_<name>.png; overlays of an earlier evaluation go.
        source: What the meter has scored.
        meter: Its rows, its threshold, and how it sees a map.
    """
    for label in ("best", "median", "worst"):
        for old in folder.glob(f"{label}_[0-9]_*.png"):
            old.unlink()
    rows = meter.rows
    picked = pick_cases(rows)
    for (label, index), case in zip(
        picked.items(), source.cases(list(picked.values())), strict=True
    ):
        path = folder / f"{label}_{case.name}.png"
        prob = meter.as_scored(case.prob)
        dice = f"Dice {100 * rows[index]['dice']:.1f} %"
        title = f"{label.replace('_', ' ')}: {case.name}, {dice}"
        if case.class_prob is not None:
            maps = (case.image, case.label, case.class_prob.argmax(axis=0), prob)
            save_class_overlay(path, *maps, list(source.classes), f"{title} of any lesion")
        else:
            save_overlay(path, case.image, prob, case.target, meter.threshold, title)
