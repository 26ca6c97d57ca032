"""Dice of the cases of an evaluation: how it is distributed, and how it grows with the lesion."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from utils.figures.charts import add_legend, start_chart
from utils.figures.palette import INK, METRICS

_NUM_BINS = 20  # of 5 % each
_MAX_AREA_BINS, _MIN_CASES_PER_BIN = 8, 4


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
    note = f"{_count(percent.size)} with lesion"
    if num_empty := int((~has_lesion).sum()):
        note += f"; {_count(num_empty)} without lesion left out"
    if num_nan := int((has_lesion & ~is_scored).sum()):
        note += f"; {_count(num_nan)} without a Dice left out"
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


def _count(number: int) -> str:
    """A number of slices."""
    return f"{number} slice" + "s" * (number != 1)
