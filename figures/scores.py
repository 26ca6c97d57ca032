"""Scores against the threshold; Dice of the cases, how it is spread and how it grows with area."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from figures.charts import add_legend, start_chart
from figures.palette import INK, METRICS, SERIES
from utils.messages import count

_LABELS = {
    "dice": "Dice",
    "sensitivity": "Sens.",
    "precision": "Prec.",
    "specificity": "Spec.",
    "iou": "IoU",
}
_DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), "-.", (0, (8, 2, 1, 2, 1, 2)))
_NUM_BINS = 20  # of 5 % each
_MAX_AREA_BINS, _MIN_CASES_PER_BIN = 8, 4


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


def draw_dice_histogram(dice: np.ndarray, lesion_area: np.ndarray) -> Figure:
    """How many cases with lesion have which Dice, and the median.

    Args:
        dice: (n,) in [0, 1], or NaN.
        lesion_area: (n,), 0 without lesion.

    Raises:
        ValueError: The two differ in length.
    """
    percent, _, note = _scored(dice, lesion_area)
    figure, place = start_chart("histogram of Dice")
    place.set(xlabel="Dice in %", ylabel="cases", xlim=(0, 100))
    place.yaxis.get_major_locator().set_params(integer=True)
    place.hist(percent, bins=_NUM_BINS, range=(0, 100), color=METRICS["dice"], rwidth=0.92)
    if percent.size:
        median = float(np.median(percent))
        place.axvline(median, color=INK, linewidth=1.2, label=f"median {median:.1f} %")
        add_legend(place)
    figure.supxlabel(note, color=INK, fontsize=8)
    return figure


def draw_dice_by_area(dice: np.ndarray, lesion_area: np.ndarray, unit: str = "px") -> Figure:
    """A point per case with lesion, and the medians of groups of equally many cases by area.

    Args:
        dice: (n,) in [0, 1], or NaN.
        lesion_area: (n,), 0 without lesion.
        unit: Of the area, px or mm².

    Raises:
        ValueError: The two differ in length.
    """
    percent, area, note = _scored(dice, lesion_area)
    figure, place = start_chart("Dice by lesion area")
    place.set(xlabel=f"lesion area in {unit}", ylabel="Dice in %", xscale="log", ylim=(-2, 102))
    place.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    place.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    place.xaxis.set_minor_formatter(NullFormatter())  # its labels would run into each other
    if percent.size:
        place.plot(area, percent, ".", color=METRICS["dice"], alpha=0.7, label="case")
        _draw_medians(place, percent, area)
        add_legend(place)
    figure.supxlabel(note, color=INK, fontsize=8)
    return figure


def _scored(dice: np.ndarray, lesion_area: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """Dice in % and area of the cases that have both, and a note on the others."""
    if dice.shape != lesion_area.shape:
        raise ValueError(f"{dice.shape} Dice, but {lesion_area.shape} lesion areas")
    has_lesion, is_scored = lesion_area > 0, ~np.isnan(dice)
    percent, area = 100 * dice[has_lesion & is_scored], lesion_area[has_lesion & is_scored]
    note = f"{count(percent.size, 'slice')} with lesion"
    if num_empty := int((~has_lesion).sum()):
        note += f"; {count(num_empty, 'slice')} without lesion left out"
    if num_nan := int((has_lesion & ~is_scored).sum()):
        note += f"; {count(num_nan, 'slice')} without a Dice left out"
    return percent, area, note


def _draw_medians(place: Axes, percent: np.ndarray, area: np.ndarray) -> None:
    """Medians of groups of equally many cases."""
    order = np.argsort(area, kind="stable")
    num_bins = int(np.clip(area.size // _MIN_CASES_PER_BIN, 1, _MAX_AREA_BINS))
    bins = np.array_split(order, num_bins)
    middles = [np.median(area[indices]) for indices in bins]
    medians = [np.median(percent[indices]) for indices in bins]
    label = f"median of {num_bins} groups by area" if num_bins > 1 else "median"
    place.plot(middles, medians, "o-", color=INK, markersize=4, linewidth=1.2, label=label)
