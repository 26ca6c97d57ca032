"""Scores against the threshold from which on a pixel counts as lesion."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.figures.charts import add_legend, start_chart
from utils.figures.palette import INK, METRICS, SERIES

_LABELS = {
    "dice": "Dice",
    "sensitivity": "Sens.",
    "precision": "Prec.",
    "specificity": "Spec.",
    "iou": "IoU",
}
_DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), "-.", (0, (8, 2, 1, 2, 1, 2)))


def draw_threshold_curves(curves: Mapping[str, np.ndarray], threshold: float) -> Figure:
    """Macro means over the cases against the threshold; the used one and the best Dice are marked.

    Args:
        curves: Values in [0, 1] at evenly spread thresholds from 0 to 1, by metric key (dice,
            sensitivity, precision, specificity, iou); NaN leaves a gap.
        threshold: The one that the scores are given at.

    Raises:
        ValueError: A key is not one of these.
    """
    if unknown := sorted(curves.keys() - _LABELS.keys()):
        raise ValueError(f"no curve is known as {', '.join(unknown)}; known: {', '.join(_LABELS)}")
    figure, place = _start("threshold curves", "mean over cases in %", threshold)
    for key, dashes in zip(_LABELS, _DASHES, strict=True):
        if key in curves:
            _draw_curve(place, curves[key], _LABELS[key], METRICS[key], dashes)
    if "dice" in curves:
        _mark_best(place, curves["dice"], "best Dice", METRICS["dice"])
    add_legend(place)
    return figure


def draw_run_curves(curves: Mapping[str, np.ndarray], threshold: float) -> Figure:
    """Mean Dice of several runs against the threshold; each run's best is marked.

    Args:
        curves: Values in [0, 1] at evenly spread thresholds from 0 to 1, by the run's name; NaN
            leaves a gap.
        threshold: The one that the scores are given at.
    """
    figure, place = _start("threshold curves of runs", "Dice, mean over cases in %", threshold)
    for index, (name, values) in enumerate(curves.items()):
        colour = SERIES[index % len(SERIES)]
        dashes = _DASHES[(index + index // len(SERIES)) % len(_DASHES)]
        _draw_curve(place, values, name, colour, dashes)
        _mark_best(place, values, "", colour)
    add_legend(place)
    return figure


def _start(label: str, ylabel: str, threshold: float) -> tuple[Figure, Axes]:
    """A chart over the thresholds, the used one marked."""
    figure, place = start_chart(label)
    place.set(xlabel="threshold", ylabel=ylabel, xlim=(0, 1), ylim=(0, 102))
    place.axvline(threshold, color=INK, linewidth=0.8, alpha=0.6, label=f"threshold {threshold:g}")
    return figure, place


def _draw_curve(
    place: Axes, values: np.ndarray, label: str, colour: str, dashes: str | tuple
) -> None:
    """One line over the thresholds from 0 to 1."""
    thresholds = np.linspace(0, 1, len(values))
    place.plot(thresholds, 100 * values, color=colour, linestyle=dashes, linewidth=1.6, label=label)


def _mark_best(place: Axes, values: np.ndarray, label: str, colour: str) -> None:
    """A point at the highest value, the lowest threshold of equals; none where all are NaN."""
    if np.isnan(values).all():
        return
    best = int(np.nanargmax(values))
    threshold, value = np.linspace(0, 1, len(values))[best], 100 * values[best]
    text = f"{label} {value:.1f} at {threshold:.2f}" if label else "_best"
    place.plot([threshold], [value], "o", color=colour, markersize=5, label=text)
