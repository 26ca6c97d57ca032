"""Loss and Dice over the epochs of several runs, a line for each row of a table."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from figures.palette import SERIES

_INCHES = (7.0, 2.8)  # a page's width
_POINTS = 8
_LEGEND_ROW = 0.18  # inches
_NUM_COLUMNS = 4
_DASHES = ("-", "--", ":", "-.")
PANELS = {"train_loss": "training loss", "val_loss": "validation loss", "val_dice": "Dice, %"}

Curve = Mapping[str, np.ndarray]


def draw_training_curves(curves: Mapping[str, Curve]) -> Figure:
    """A panel each for the training loss, the validation loss and the validation Dice.

    Args:
        curves: By the row's title: (seeds, epochs) by the key of a panel, epochs from 1; NaN where
            a seed has stopped. The line is the mean over the seeds that go on, the band their
            range.
    """
    num_lines = -(-len(curves) // _NUM_COLUMNS)
    width, height = _INCHES
    figure = Figure(figsize=(width, height + _LEGEND_ROW * num_lines), layout="constrained")
    figure.set_label("loss and Dice over the epochs")
    places = figure.subplots(1, len(PANELS))
    for place, (key, title) in zip(places, PANELS.items(), strict=True):
        for index, (name, curve) in enumerate(curves.items()):
            values = 100 * curve[key] if key.endswith("dice") else curve[key]
            epochs = np.arange(1, values.shape[1] + 1)
            style = {
                "color": SERIES[index % len(SERIES)],
                "linestyle": _DASHES[index // len(SERIES) % len(_DASHES)],
            }
            place.plot(epochs, np.nanmean(values, axis=0), label=name, linewidth=1, **style)
            ends = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
            place.fill_between(epochs, *ends, color=style["color"], alpha=0.15, linewidth=0)
        place.set_title(title, fontsize=_POINTS)
        place.set_xlabel("epoch", fontsize=_POINTS)
        place.tick_params(labelsize=_POINTS)
        place.spines[["top", "right"]].set_visible(False)
    handles, labels = places[0].get_legend_handles_labels()
    figure.legend(
        *(handles, labels),
        loc="outside lower center",
        ncols=_NUM_COLUMNS,
        frameon=False,
        fontsize=_POINTS,
    )
    return figure
