"""Pictures of cases: slices with outlines, side outputs and confidence maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.contracts import Batch, SegOutput

TARGET_COLOUR = "#2ca02c"
PREDICTION_COLOUR = "#ff3b30"
_PANEL_INCHES = 1.9


class Panel(NamedTuple):
    """One map to draw: a title, (H, W) values, and whether they are probabilities."""

    title: str
    values: np.ndarray
    is_probability: bool = True


def case_panels(batch: Batch, output: SegOutput, index: int) -> list[Panel]:
    """CT, target, prediction, side outputs and the confidence map P_1 of one slice of a batch."""

    def probability(logits: torch.Tensor) -> np.ndarray:
        return torch.sigmoid(logits[index, 0].float()).cpu().numpy()

    panels = [
        Panel("CT", batch["image"][index, 0].cpu().numpy(), is_probability=False),
        Panel("target", batch["mask"][index, 0].cpu().numpy()),
        Panel("prediction", probability(output.mask)),
    ]
    panels += [Panel(f"edge {i}", probability(s)) for i, s in enumerate(output.edge, 1)]
    panels += [Panel(f"semantic {i}", probability(s)) for i, s in enumerate(output.semantic, 1)]
    if "P_1" in output.maps:
        panels.append(Panel("$P_1$", output.maps["P_1"][index, 0].float().cpu().numpy()))
    return panels


def draw_cases(names: Sequence[str], rows: Sequence[Sequence[Panel]]) -> Figure:
    """A grid with a row per case, its name beside it and the titles on top."""
    num_columns = max(len(row) for row in rows)
    figure = Figure(
        figsize=(_PANEL_INCHES * num_columns + 0.3, _PANEL_INCHES * len(rows) + 0.3),
        layout="constrained",
    )
    axes = figure.subplots(len(rows), num_columns, squeeze=False)
    for name, row, places in zip(names, rows, axes, strict=True):
        for panel, place in zip(row, places, strict=True):
            _draw_panel(place, panel)
        places[0].set_ylabel(name, fontsize=7)
    for panel, place in zip(rows[0], axes[0], strict=True):
        place.set_title(panel.title, fontsize=9)
    return figure


def save_overlay(
    path: Path,
    image: np.ndarray,
    prob: np.ndarray,
    target: np.ndarray,
    threshold: float,
    title: str,
) -> None:
    """CT; CT with both outlines; probability, side by side as a PNG.

    Args:
        path: Where to.
        image: (H, W) grey levels, any range.
        prob: (H, W) in [0, 1].
        target: (H, W) bool.
        threshold: Probability at which the prediction's outline is drawn.
        title: Line on top.
    """
    figure = Figure(figsize=(10.2, 3.9), dpi=120, layout="constrained")
    places = figure.subplots(1, 3)
    _draw_panel(places[0], Panel("", image, is_probability=False))
    _draw_panel(places[1], Panel("", image, is_probability=False))
    _outline(places[1], target.astype(float), 0.5, TARGET_COLOUR)
    _outline(places[1], prob, threshold, PREDICTION_COLOUR)
    _draw_panel(places[2], Panel("", prob))
    for place, caption in zip(places, ("CT", "", "probability"), strict=True):
        place.set_xlabel(caption)
    handles = [
        places[1].plot([], [], color=colour, label=label)[0]
        for colour, label in ((TARGET_COLOUR, "target"), (PREDICTION_COLOUR, "prediction"))
    ]
    places[1].legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncol=2, frameon=False
    )
    figure.suptitle(title, fontsize=11)
    figure.savefig(path)


def _draw_panel(place: Axes, panel: Panel) -> None:
    """One map in grey; probabilities on [0, 1], CT between its own extremes."""
    limits = (0, 1) if panel.is_probability else (panel.values.min(), panel.values.max())
    place.imshow(panel.values, cmap="gray", vmin=limits[0], vmax=limits[1])
    place.set_xticks([])
    place.set_yticks([])


def _outline(place: Axes, values: np.ndarray, level: float, colour: str) -> None:
    """The contour at a level, where the values cross it."""
    if values.min() < level <= values.max():
        place.contour(values, levels=[level], colors=[colour], linewidths=1.1)
