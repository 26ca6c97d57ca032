"""A heat map of scores: what was trained on one data set, tested on another."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

_CELL_INCHES = 1.15
_MARGIN_INCHES = 1.6
_POINTS = 9
_DARK = 0.6  # of the scale, from which letters are white


def draw_matrix(
    trained: Sequence[str], tested: Sequence[str], values: Mapping[tuple[str, str], float]
) -> Figure:
    """Mean Dice in per cent, darker where higher; a cell without a value says so.

    Args:
        trained: The rows.
        tested: The columns.
        values: Fractions by row and column.
    """
    grid = np.array([[values.get((a, b), np.nan) for b in tested] for a in trained])
    size = (_MARGIN_INCHES + _CELL_INCHES * len(tested), _MARGIN_INCHES + 0.6 * len(trained))
    figure = Figure(figsize=size, layout="constrained")
    figure.set_label("Dice by training and test data set")
    place = figure.subplots()
    place.set_facecolor("#eeeeee")
    place.imshow(np.ma.masked_invalid(grid), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(grid):
        is_known = not np.isnan(value)
        place.text(
            *(column, row, f"{100 * value:.1f}" if is_known else "refused"),
            ha="center",
            va="center",
            fontsize=_POINTS,
            color="white" if is_known and value > _DARK else "black",
        )
    place.set_xticks(range(len(tested)), tested, fontsize=_POINTS, rotation=20, ha="right")
    place.set_yticks(range(len(trained)), trained, fontsize=_POINTS)
    place.set_xlabel("tested on", fontsize=_POINTS)
    place.set_ylabel("trained on", fontsize=_POINTS)
    return figure
