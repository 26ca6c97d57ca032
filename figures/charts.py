"""What charts share: size, ink, legend, and SVG that stands within a web page, light or dark."""

import hashlib
import io
import re
from html import escape

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.palette import INK

_INCHES = (4.8, 3.2)
_LEGEND_LINE = 0.18  # inches
_POINTS = 9
_CHARACTERS = 68  # of a line above a panel; a handle takes the room of 6
# Letters stay letters, in the page's language and searchable; equal figures give equal text.
_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "figure"}
# Instead of matplotlib's style sheet, which would hold for the whole page.
_LINES = "stroke-linejoin: round; stroke-linecap: butt"
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


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


def figure_to_svg(figure: Figure) -> str:
    """A figure drawn in palette.INK as an <svg> element for an HTML page.

    Text and axes take the colour of the page's text (currentColor), the ground is transparent, and
    every id begins with a digest of the picture, so that several figures may stand in one page.

    Args:
        figure: Without images; its label is read to those who cannot see it.

    Returns:
        One element, no prolog; the same text for the same figure, and nothing outside referred to.
    """
    stream = io.StringIO()
    with rc_context(_STYLE):
        figure.savefig(stream, format="svg", transparent=True, metadata=_NO_METADATA)
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = svg.replace(INK, "currentColor")
    svg = re.sub(r'\s+xmlns:xlink="[^"]*"', "", svg).replace("xlink:href=", "href=")
    prefix = "f" + hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", svg)
    label = escape(figure.get_label())
    opening = f'<svg role="img" aria-label="{label}" style="{_LINES}"'
    return svg.replace("<svg", opening, 1)
