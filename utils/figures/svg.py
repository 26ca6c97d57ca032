"""Figures as SVG that stands within a web page, light or dark."""

import hashlib
import io
import re
from html import escape

from matplotlib import rc_context
from matplotlib.figure import Figure

from utils.figures.palette import INK

# Letters stay letters, in the page's language and searchable; equal figures give equal text.
_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "figure"}
# Instead of matplotlib's style sheet, which would hold for the whole page.
_LINES = "stroke-linejoin: round; stroke-linecap: butt"
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


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
