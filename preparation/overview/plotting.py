"""What the plots of the page share: their size, bars and legends."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.charts import start_chart
from figures.palette import INK

BAR_WIDTH = 0.66  # of the room of a bar
_INCHES = (4.1, 2.9)  # about the width of a telephone, so that letters keep their size there
_BAR_INCHES, _BARS_MARGIN = 0.36, 0.7
_LEGEND_LINE = 0.18  # inches
_POINTS = 9
_CHARACTERS = 50  # of a line above a panel; a handle takes the room of 6


class Plot(NamedTuple):
    """A figure, its title on the page, and what is to be known beside it."""

    title: str
    figure: Figure
    caption: str


def start_plot(label: str, **settings: object) -> tuple[Figure, Axes]:
    """A figure with one panel.

    Args:
        label: What it shows, for those who cannot see it.
        **settings: Of the panel, as Axes.set takes them.
    """
    figure, place = start_chart(label)
    figure.set_size_inches(*_INCHES)
    place.set(**settings)
    return figure, place


def start_bars(label: str, names: Sequence[str], **settings: object) -> tuple[Figure, Axes]:
    """Room for a horizontal bar per name, the first on top, at heights 0, 1, ..."""
    figure, place = start_plot(label, **settings)
    figure.set_figheight(_BARS_MARGIN + _BAR_INCHES * len(names))
    place.set_yticks(range(len(names)), names)
    place.set_ylim(len(names) - 0.5, -0.5)
    place.grid(visible=False, axis="y")
    place.tick_params(axis="y", length=0)
    return figure, place


def add_legend_on_top(place: Axes) -> None:
    """What the colours mean, above the panel; the figure grows by its lines."""
    handles, labels = place.get_legend_handles_labels()
    num_columns = max(1, min(3, _CHARACTERS // (max(map(len, labels)) + 6)))
    legend = place.legend(
        handles,
        labels,
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        ncols=num_columns,
        frameon=False,
        fontsize=_POINTS,
        labelcolor=INK,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a name may hold a dollar
    lines = -(-len(labels) // num_columns)
    place.figure.set_figheight(place.figure.get_figheight() + _LEGEND_LINE * lines)


def count_in_whole_numbers(place: Axes, axis: str) -> None:
    """No ticks at half a slice on the axis x or y."""
    getattr(place, f"{axis}axis").get_major_locator().set_params(integer=True)
