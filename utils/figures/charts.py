"""What the charts of scores share: size, ink, legend."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.figures.palette import INK

_INCHES = (4.8, 3.2)
_LEGEND_LINE = 0.18  # inches
_POINTS = 9
_CHARACTERS = 68  # of a line above a panel; a handle takes the room of 6


def start_chart(label: str) -> tuple[Figure, Axes]:
    """A figure with one panel, in ink.

    Args:
        label: What the figure shows, for those who cannot see it.
    """
    figure = Figure(figsize=_INCHES, layout="constrained")
    figure.set_label(label)
    place = figure.subplots()
    place.tick_params(which="both", colors=INK, labelsize=_POINTS)
    place.spines[:].set_color(INK)
    place.spines[["top", "right"]].set_visible(False)
    place.grid(color=INK, alpha=0.12, linewidth=0.6)
    place.set_axisbelow(True)
    for text in (place.xaxis.label, place.yaxis.label, place.title):
        text.set(color=INK, fontsize=_POINTS)
    return figure, place


def add_legend(place: Axes) -> None:
    """What the lines and points are, above the panel, where it hides none; the figure grows."""
    labels = place.get_legend_handles_labels()[1]
    num_columns = max(1, min(3, _CHARACTERS // (max(map(len, labels)) + 6)))
    height = _INCHES[1] + _LEGEND_LINE * -(-len(labels) // num_columns)
    place.figure.set_figheight(max(place.figure.get_figheight(), height))
    place.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        ncols=num_columns,
        frameon=False,
        fontsize=_POINTS,
        labelcolor=INK,
    )
