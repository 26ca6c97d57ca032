"""How grey levels, areas, components and spacing are distributed."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, StrMethodFormatter

from datasets.intensity import IntensityRule
from figures.palette import ALL_PX, INK, LESION, LUNG, OTHER
from preparation.overview.fingerprint import Fingerprint
from preparation.overview.grey_levels import NUM_BINS, GreyLevels
from preparation.overview.measure import SliceRow
from preparation.overview.plotting import (
    Plot,
    add_legend_on_top,
    count_in_whole_numbers,
    start_plot,
)

_NUM_BARS = 24
_HEADROOM = 1.2
_UNITS_INCHES = 0.5
_MOST_COMPONENTS = 10
_DECADES_WITH_THREES = 4  # of an axis, beyond which 3, 30, ... find no room


def draw_grey_levels(fingerprint: Fingerprint) -> Plot:
    """Distribution of grey levels in all of the image, in the lung and in lesions."""
    top = 2**fingerprint.bits - 1
    figure, place = start_plot("grey levels", xlabel="grey level", ylabel="% of px per bin")
    edges = np.linspace(0, top, NUM_BINS + 1)
    levels, peaks = fingerprint.all_levels(), {}
    styles = {
        "all": {"label": "all", "color": ALL_PX, "fill": True, "alpha": 0.35},
        "lung": {"label": "lung without lesion", "color": LUNG, "linewidth": 1.2},
        "lesion": {"label": "lesion", "color": LESION, "linewidth": 1.8},
    }
    for region, style in styles.items():
        if not levels[region].num_px:
            continue
        share = 100 * levels[region].histogram() / levels[region].num_px
        place.stairs(share, edges, **style)
        peaks[region] = share[1:-1].max()
    # Air, and at the ends what the window cut off, are peaks that would flatten all the rest.
    highest = max([peak for region, peak in peaks.items() if region != "all"] or peaks.values())
    place.set(xlim=(0, top), ylim=(0, _HEADROOM * highest or 1))
    rule = fingerprint.card.intensity if fingerprint.card else None
    if rule is not None and rule.unit == "HU":
        _name_units(place, rule, top)
    add_legend_on_top(place)
    return Plot("Grey levels", figure, _describe_ends(levels["all"]))


def _name_units(place: Axes, rule: IntensityRule, top: int) -> None:
    """Hounsfield units below the grey levels; the figure grows by them."""
    place.figure.set_figheight(place.figure.get_figheight() + _UNITS_INCHES)
    step = (rule.high - rule.low) / top
    units = place.secondary_xaxis(
        -0.26,
        functions=(lambda level: rule.low + level * step, lambda unit: (unit - rule.low) / step),
    )
    units.set_xlabel("HU", color=INK, fontsize=place.xaxis.label.get_fontsize())
    units.tick_params(colors=INK, labelsize=place.xaxis.label.get_fontsize())
    units.spines[:].set_color(INK)


def _describe_ends(levels: GreyLevels) -> str:
    """How much lies at the ends of the scale."""
    plain = levels.to_plain(levels.bits, rule=None)
    return (
        f"In 256 bins. {plain['share_at_lowest']:.1%} of all px are black and "
        f"{plain['share_at_highest']:.1%} white: at the ends of the window, or cut off by it."
    )


def draw_areas(title: str, things: str, areas: Sequence[tuple[int, float | None]]) -> Plot:
    """Histogram of areas on a logarithmic scale, in mm² where every px has a size.

    Args:
        title: Of the chart.
        things: What has the areas, in the plural.
        areas: Px, and mm² of a px or None; at least one.
    """
    is_known = all(px_mm2 for _, px_mm2 in areas)
    unit = "mm²" if is_known else "px"
    values = np.array([area * (px_mm2 if is_known else 1) for area, px_mm2 in areas], float)
    figure, place = start_plot(title, xlabel=f"area in {unit}", ylabel=things, xscale="log")
    low, high = values.min() / 1.05, values.max() * 1.05
    place.hist(values, np.geomspace(low, high, _NUM_BARS + 1), color=LESION, rwidth=0.92)
    has_threes = high / low < 10**_DECADES_WITH_THREES
    place.xaxis.set_major_locator(LogLocator(subs=(1, 3) if has_threes else (1,)))
    place.xaxis.set_major_formatter(FuncFormatter(lambda area, _: f"{area:,.6g}"))
    place.xaxis.set_minor_formatter(NullFormatter())  # its labels would run into each other
    count_in_whole_numbers(place, "y")
    median = float(np.median(values))
    place.axvline(median, color=INK, linewidth=1.2, label=f"median {median:,.4g} {unit}")
    add_legend_on_top(place)
    note = "" if is_known else " No manifest gives the size of every px."
    return Plot(title, figure, f"{values.size:,} {things}; the scale is logarithmic.{note}")


def draw_component_numbers(rows: Sequence[SliceRow]) -> Plot:
    """How many separate lesions a slice shows; at least one row has some."""
    numbers = np.array([len(row.component_px) for row in rows if row.lesion_px])
    figure, place = start_plot(
        "components per slice", xlabel="components", ylabel="slices with lesion"
    )
    counts = np.bincount(np.minimum(numbers, _MOST_COMPONENTS), minlength=_MOST_COMPONENTS + 1)[1:]
    places = range(1, _MOST_COMPONENTS + 1)
    place.bar(places, counts, color=LESION, width=0.8)
    place.set_xticks(places, [*map(str, places[:-1]), f"{_MOST_COMPONENTS}+"])
    place.grid(visible=False, axis="x")
    count_in_whole_numbers(place, "y")
    caption = (
        f"{numbers.mean():.1f} on average, {numbers.max()} at most; px that touch by a side or a "
        "corner are one component."
    )
    return Plot("Components per slice", figure, caption)


def draw_spacing(rows: Sequence[SliceRow]) -> Plot:
    """Size of a px over the slices that have it; at least one does."""
    known = [row.entry.files.spacing for row in rows if row.entry.files.spacing is not None]
    figure, place = start_plot("spacing", xlabel="height of a px in mm", ylabel="slices")
    heights = np.array([height for height, _ in known])
    margin = max(0.05 * heights.max(), 0.1 * np.ptp(heights))
    limits = (max(heights.min() - margin, 0), heights.max() + margin)
    place.hist(heights, _NUM_BARS, limits, color=OTHER, rwidth=0.92)
    place.xaxis.set_major_formatter(StrMethodFormatter("{x:.3g}"))
    count_in_whole_numbers(place, "y")
    return Plot("Spacing", figure, f"Known of {len(known):,} of {len(rows):,} slices.")
