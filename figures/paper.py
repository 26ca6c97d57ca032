"""Figures 6, 7 and 8 of the co-supervision paper, drawn from maps.

Paper: see models/resunet.py; sections 4.2 and 4.3.2. All are 7 inches wide, a page's width.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from figures.palette import FALSE_POSITIVE, MISSED, TRUE_POSITIVE
from figures.panels import NAME_POINTS, TITLE_POINTS, Panel, draw_grid
from figures.side_outputs import symbol

PAGE_INCHES = 7.0
_LEGEND_INCHES, _BAR_INCHES = 0.27, 0.42
_AGREEMENT = {
    "lesion found": TRUE_POSITIVE,
    "false positive": FALSE_POSITIVE,
    "missed": MISSED,
}
FUSION_MAPS = ("P_1", "1 - P_1", "Y_1", "S_p")
LOGIT_MAPS = ("Y_1", "S_p")


class ShownCase(NamedTuple):
    """One slice as its files hold it: (H, W) grey levels, bool target, and its classes from 0."""

    name: str
    image: np.ndarray
    target: np.ndarray
    label: np.ndarray | None = None


class SideMap(NamedTuple):
    """One side output of a slice: stage, module (ESM, ASSM or empty), target, (H, W) in [0, 1]."""

    name: str
    module: str
    is_edge: bool
    prob: np.ndarray


class Prediction(NamedTuple):
    """What one network makes of a slice, each map (H, W) in [0, 1] at the slice's own size.

    Attributes:
        prob: Of the lesion.
        edge: The edge target at the network's size, resized.
        sides: The side outputs.
        maps: Inner maps by name; those that are logits have been through the sigmoid.
        label: Predicted classes from 0, where they are told apart.
    """

    prob: np.ndarray
    edge: np.ndarray
    sides: Sequence[SideMap]
    maps: Mapping[str, np.ndarray]
    label: np.ndarray | None = None


def draw_figure_6(cases: Sequence[ShownCase], preds: Mapping[str, Sequence[np.ndarray]]) -> Figure:
    """Figure 6: CT, the prediction of each run, target; where the two disagree is coloured.

    Args:
        cases: A row each.
        preds: (H, W) bool of each case, by the run's name.
    """
    rows = [
        [
            _ct(case),
            *(Panel(name, colour_agreement(pred[i], case.target)) for name, pred in preds.items()),
            _target(case),
        ]
        for i, case in enumerate(cases)
    ]
    figure = _draw(cases, rows, _LEGEND_INCHES)
    handles = [
        Patch(facecolor=colour, edgecolor="black", linewidth=0.5, label=label)
        for label, colour in _AGREEMENT.items()
    ]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=len(handles),
        frameon=False,
        fontsize=TITLE_POINTS,
        borderaxespad=0.1,
    )
    return figure


def draw_figure_7(cases: Sequence[ShownCase], predictions: Sequence[Prediction]) -> Figure | None:
    """Figure 7: CT, the side outputs, their targets; None for a network without side outputs.

    The titles name each stage and the module that supervises it. The paper's own figure is of a
    network with ESM on every stage; the mask stands beside the edge where ASSM is in use as well.

    Args:
        cases: A row each.
        predictions: Of one network, in the order of the cases.
    """
    sides = predictions[0].sides
    if not sides:
        return None
    rows = []
    for case, prediction in zip(cases, predictions, strict=True):
        row = [_ct(case)]
        row += [
            Panel(f"{symbol(side.name)}\n{side.module}".rstrip(), side.prob)
            for side in prediction.sides
        ]
        if any(side.is_edge for side in sides):
            row.append(Panel("edge\ntarget", prediction.edge))
        if not all(side.is_edge for side in sides):
            row.append(_target(case))
        rows.append(row)
    return _draw(cases, rows)


def draw_figure_8(cases: Sequence[ShownCase], predictions: Sequence[Prediction]) -> Figure | None:
    """Figure 8: CT, P_1, 1 - P_1, Y_1, S_p, target; None for a network without these maps.

    Y_1 and S_p are shown as the probability that their own logits give.

    Args:
        cases: A row each.
        predictions: Of one network, in the order of the cases.
    """
    if not predictions[0].maps.keys() >= set(FUSION_MAPS):
        return None
    titles = {name: symbol(name) for name in FUSION_MAPS}
    titles |= {name: rf"$\sigma({titles[name].strip('$')})$" for name in LOGIT_MAPS}
    rows = [
        [_ct(case), *(Panel(titles[n], prediction.maps[n]) for n in FUSION_MAPS), _target(case)]
        for case, prediction in zip(cases, predictions, strict=True)
    ]
    figure = _draw(cases, rows, _BAR_INCHES)
    height = figure.get_figheight()
    place = figure.add_axes((0.35, 0.28 / height, 0.3, 0.08 / height))
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 1), "gray"), cax=place, orientation="horizontal"
    )
    bar.set_ticks([0, 0.5, 1], labels=["0", "0.5", "1"], fontsize=NAME_POINTS)
    bar.ax.tick_params(length=2, pad=1)
    style = {"fontsize": NAME_POINTS, "va": "center", "transform": place.transAxes}
    place.text(1.04, 0.5, "confidence, probability", **style)
    return figure


def colour_agreement(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
    """A prediction beside its target: found white, false positive and missed coloured, else black.

    Args:
        pred: (H, W) bool.
        target: (H, W) bool.

    Returns:
        (H, W, 3) in [0, 1].
    """
    colours = np.zeros((*pred.shape, 3))
    colours[pred & target] = to_rgb(TRUE_POSITIVE)
    colours[pred & ~target] = to_rgb(FALSE_POSITIVE)
    colours[~pred & target] = to_rgb(MISSED)
    return colours


def _ct(case: ShownCase) -> Panel:
    """The first column of every figure."""
    return Panel("CT", case.image, is_probability=False)


def _target(case: ShownCase) -> Panel:
    """The last column of every figure."""
    return Panel("target", case.target.astype(float))


def _draw(cases: Sequence[ShownCase], rows: Sequence[Sequence[Panel]], footer: float = 0) -> Figure:
    """The grid at a page's width."""
    names = [case.name for case in cases]
    return draw_grid(names, rows, PAGE_INCHES, footer)
