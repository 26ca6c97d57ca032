"""Grids of maps: a row per case, its name beside it and the titles on top."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

TITLE_POINTS, NAME_POINTS = 8, 7
_POINTS_PER_INCH = 72
_CHARACTER = 0.64  # mean width in font sizes, of DejaVu Sans
_LINE = 1.25  # height in font sizes
_GAP = 0.04  # inches
_WINDOW = (0.5, 99.5)  # percentiles: one bright pixel of 16 bits must not darken the slice
_MAX_LINES = 2


class Panel(NamedTuple):
    """One map to draw.

    Attributes:
        title: On top of its column, where the panel is in the first row.
        values: (H, W), or (H, W, 3) colours in [0, 1].
        is_probability: Whether black and white are 0 and 1, or the map's own extremes.
        colours: Name of a matplotlib colour map.
    """

    title: str
    values: np.ndarray
    is_probability: bool = True
    colours: str = "gray"


def draw_grid(
    names: Sequence[str],
    rows: Sequence[Sequence[Panel]],
    page_inches: float,
    footer_inches: float = 0,
) -> Figure:
    """A row of panels per case, all of one width.

    Args:
        names: Of the cases, written beside their rows.
        rows: As many panels each; the panels of a row have one size in px.
        page_inches: Width of the figure.
        footer_inches: Height left free at the bottom.
    """
    num_columns = len(rows[0])
    left = _text_inches(_MAX_LINES, NAME_POINTS) + 2 * _GAP
    width = (page_inches - left) / num_columns - _GAP  # a gap right of each
    titles = [_fit_title(panel.title, width) for panel in rows[0]]
    top = _text_inches(max(title.count("\n") for title in titles) + 1, TITLE_POINTS) + 2 * _GAP
    heights = [width * row[0].values.shape[0] / row[0].values.shape[1] for row in rows]
    page_height = top + sum(heights) + _GAP * len(rows) + footer_inches
    figure = Figure(figsize=(page_inches, page_height))
    y = page_height - top
    for name, row, height in zip(names, rows, heights, strict=True):
        y -= height
        for column, panel in enumerate(row):
            x = left + column * (width + _GAP)
            place = _add_place(figure, x, y, width, height)
            draw_panel(place, panel)
            if row is rows[0]:
                place.set_title(titles[column], fontsize=TITLE_POINTS, pad=3)
            if not column:
                label = fit_text(name, height, NAME_POINTS)
                place.set_ylabel(label, fontsize=NAME_POINTS, labelpad=3)
        y -= _GAP
    return figure


def draw_panel(place: Axes, panel: Panel) -> None:
    """One map without ticks; probabilities on [0, 1], CT between its own extremes."""
    limits = (0, 1) if panel.is_probability else np.percentile(panel.values, _WINDOW)
    place.imshow(panel.values, cmap=panel.colours, vmin=limits[0], vmax=limits[1])
    place.spines[:].set_linewidth(0.5)
    place.set_xticks([])
    place.set_yticks([])


def fit_text(text: str, inches: float, points: float) -> str:
    """A name on two lines at most, broken after - or _ where it can be, cut in its middle."""
    room = max(int(inches * _POINTS_PER_INCH / (points * _CHARACTER)), 4)
    if len(text) <= room:
        return text
    breaks = [i for i in range(1, room + 1) if text[i - 1] in "-_ +/"]
    cut = next((i for i in reversed(breaks) if len(text) - i <= room), room)
    rest = text[cut:]
    if len(rest) > room:
        rest = "…" + rest[len(rest) - room + 1 :]
    return f"{text[:cut].rstrip()}\n{rest}"


def _fit_title(title: str, inches: float) -> str:
    """A title as wide as its column; formulas and broken lines stay as they are."""
    return title if "$" in title or "\n" in title else fit_text(title, inches, TITLE_POINTS)


def _text_inches(num_lines: int, points: float) -> float:
    """The height of so many lines."""
    return num_lines * points * _LINE / _POINTS_PER_INCH


def _add_place(figure: Figure, x: float, y: float, width: float, height: float) -> Axes:
    """Axes at a place in inches."""
    full = (figure.get_figwidth(), figure.get_figheight())
    return figure.add_axes((x / full[0], y / full[1], width / full[0], height / full[1]))
