"""Pictures of cases: every map of a slice for TensorBoard, and slices with outlines."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.classes import class_handles, colour_classes
from figures.palette import PREDICTION, TARGET
from figures.panels import Panel, draw_grid, draw_panel
from figures.side_outputs import list_side_outputs, symbol
from utils.contracts import Batch, SegOutput

_PANEL_INCHES, _LEGEND_INCHES = 1.9, 0.35


def case_panels(
    batch: Batch,
    output: SegOutput,
    index: int,
    stages: Mapping[str, Sequence[str]] | None = None,
    classes: torch.Tensor | None = None,
) -> list[Panel]:
    """CT, target, prediction, side outputs and the confidence map P_1 of one slice of a batch.

    Args:
        batch: What the network saw.
        output: What it gave, logits turned into probabilities.
        index: Place of the slice in the batch.
        stages: The network's property side_outputs, where it has one.
        classes: (B, H, W) predicted classes, where they are told apart.
    """

    def shown(values: torch.Tensor) -> np.ndarray:
        return values[index, 0].float().cpu().numpy()

    panels = [
        Panel("CT", shown(batch["image"]), is_probability=False),
        Panel("target", shown(batch["mask"])),
        Panel("prediction", shown(output.mask)),
    ]
    if classes is not None:
        target = batch["label"][index].cpu().numpy()
        panels[1:1] = [
            Panel("target classes", colour_classes(target)),
            Panel("predicted classes", colour_classes(classes[index].cpu().numpy())),
        ]
    panels += [
        Panel(f"{symbol(side.name)} {side.module}".rstrip(), shown(side.prob))
        for side in list_side_outputs(output, stages)
    ]
    if "P_1" in output.maps:
        panels.append(Panel(symbol("P_1"), shown(output.maps["P_1"])))
    return panels


def draw_cases(
    names: Sequence[str], rows: Sequence[Sequence[Panel]], classes: Sequence[str] = ()
) -> Figure:
    """A grid with a row per case, its name beside it and the titles on top; a legend of classes."""
    footer = _LEGEND_INCHES if classes else 0
    figure = draw_grid(names, rows, _PANEL_INCHES * len(rows[0]), footer)
    if classes:
        handles = class_handles(classes)
        figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False)
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
    draw_panel(places[0], Panel("", image, is_probability=False))
    draw_panel(places[1], Panel("", image, is_probability=False))
    _outline(places[1], target.astype(float), 0.5, TARGET)
    _outline(places[1], prob, threshold, PREDICTION)
    draw_panel(places[2], Panel("", prob))
    for place, caption in zip(places, ("CT", "", "probability"), strict=True):
        place.set_xlabel(caption)
    handles = [
        places[1].plot([], [], color=colour, label=label)[0]
        for colour, label in ((TARGET, "target"), (PREDICTION, "prediction"))
    ]
    places[1].legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncol=2, frameon=False
    )
    figure.suptitle(title, fontsize=11)
    figure.savefig(path)


def _outline(place: Axes, values: np.ndarray, level: float, colour: str) -> None:
    """The contour at a level, where the values cross it."""
    if values.min() < level <= values.max():
        place.contour(values, levels=[level], colors=[colour], linewidths=1.1)
