"""Pictures of several classes: class maps in their colours, overlays, the confusion matrix."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from figures.charts import start_chart
from figures.palette import outline_colour
from figures.panels import TITLE_POINTS, Panel, draw_grid, draw_panel
from figures.paper import PAGE_INCHES, ShownCase

_LEGEND_INCHES = 0.27
_OPACITY = 0.55  # of a class over the slice
_WINDOW = (0.5, 99.5)  # percentiles
_DARK_SHARE = 0.6  # from here on white letters are the legible ones


def colour_classes(label: np.ndarray) -> np.ndarray:
    """A class map in the colours of the classes, the background black.

    Args:
        label: (H, W), 0 background, else classes from 1.

    Returns:
        (H, W, 3) in [0, 1].
    """
    num_classes = int(label.max())
    colours = [(0.0, 0.0, 0.0), *(to_rgb(outline_colour(k)) for k in range(1, num_classes + 1))]
    return np.array(colours)[label]


def overlay_classes(image: np.ndarray, label: np.ndarray) -> np.ndarray:
    """A slice with the classes over it.

    Args:
        image: (H, W) grey levels, any range.
        label: (H, W), 0 background, else classes from 1.

    Returns:
        (H, W, 3) in [0, 1].
    """
    low, high = np.percentile(image, _WINDOW)
    grey = np.clip((image - low) / max(high - low, 1e-9), 0, 1)[..., None].repeat(3, axis=2)
    mixed = (1 - _OPACITY) * grey + _OPACITY * colour_classes(label)
    return np.where((label > 0)[..., None], mixed, grey)


def class_handles(names: Sequence[str]) -> list[Patch]:
    """The legend's entries."""
    return [
        Patch(facecolor=outline_colour(k), edgecolor="black", linewidth=0.5, label=name)
        for k, name in enumerate(names, 1)
    ]


def draw_class_maps(
    cases: Sequence[ShownCase],
    preds: Mapping[str, Sequence[np.ndarray]],
    names: Sequence[str],
) -> Figure:
    """CT, the classes that each run predicts, those of the target, over the slice; a page wide.

    Args:
        cases: A row each.
        preds: (H, W) predicted classes of each case, by the run's name.
        names: Of the classes from 1.
    """
    rows = [
        [
            Panel("CT", case.image, is_probability=False),
            *(Panel(run, overlay_classes(case.image, own[i])) for run, own in preds.items()),
            Panel("target", overlay_classes(case.image, case.label)),
        ]
        for i, case in enumerate(cases)
    ]
    figure = draw_grid([case.name for case in cases], rows, PAGE_INCHES, _LEGEND_INCHES)
    figure.legend(
        handles=class_handles(names),
        loc="lower center",
        ncols=len(names),
        frameon=False,
        fontsize=TITLE_POINTS,
        borderaxespad=0.1,
    )
    return figure


def save_class_overlay(
    path: Path,
    image: np.ndarray,
    label: np.ndarray,
    pred: np.ndarray,
    prob: np.ndarray,
    names: Sequence[str],
    title: str,
) -> None:
    """CT; target and prediction in the colours of their classes; probability of any, as a PNG.

    Args:
        path: Where to.
        image: (H, W) grey levels, any range.
        label: (H, W) classes of the target.
        pred: (H, W) predicted classes.
        prob: (H, W) in [0, 1], of any lesion.
        names: Of the classes from 1.
        title: Line on top.
    """
    figure = Figure(figsize=(13.2, 3.9), dpi=120, layout="constrained")
    panels = (
        Panel("CT", image, is_probability=False),
        Panel("target", overlay_classes(image, label)),
        Panel("prediction", overlay_classes(image, pred)),
        Panel("probability of lesion", prob),
    )
    for place, panel in zip(figure.subplots(1, len(panels)), panels, strict=True):
        draw_panel(place, panel)
        place.set_xlabel(panel.title)
    figure.legend(
        handles=class_handles(names), loc="outside lower center", ncols=len(names), frameon=False
    )
    figure.suptitle(title, fontsize=11)
    figure.savefig(path)


def draw_confusion(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """The confusion matrix: a row per target, shares of the row in %, px below.

    Args:
        counts: (K, K) px, targets in rows.
        names: Of all K, the background first.
    """
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    figure, place = start_chart("confusion matrix")
    place.grid(False)
    place.pcolormesh(shares[::-1], cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=1)
    places = np.arange(len(names)) + 0.5
    broken = [name.replace(" ", "\n") for name in names]
    place.set_xticks(places, broken)
    place.set_yticks(places, broken[::-1])
    place.tick_params(length=0)
    place.set(xlabel="predicted as", ylabel="target")
    for row, column in np.ndindex(counts.shape):
        share = shares[row, column]
        place.text(
            *(column + 0.5, len(names) - row - 0.5),
            f"{100 * share:.1f} %\n{counts[row, column]:,} px",
            ha="center",
            va="center",
            fontsize=7,
            color="#ffffff" if share > _DARK_SHARE else "#111111",
        )
    return figure
