"""The paper's figures as files, of one run or of several."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from utils.figures.paper import ShownCase, draw_figure_6, draw_figure_7, draw_figure_8
from utils.figures.predictions import predict_cases, read_cases
from utils.loaders import Split
from utils.trained_run import TrainedRun

DPI = 300
_NEEDED = {7: "side outputs", 8: "attention fusion, whose maps it shows"}


def pick_by_area(areas: Sequence[float], count: int) -> list[int]:
    """Cases with lesion from small to large, evenly spread over the order by lesion area.

    Args:
        areas: Of every case, 0 without lesion.
        count: How many; fewer where there are fewer with lesion.

    Returns:
        Indices; of any cases where none has a lesion.
    """
    order = [i for i, area in enumerate(areas) if area] or list(range(len(areas)))
    order.sort(key=lambda i: areas[i])
    count = min(count, len(order))
    return [order[(2 * rank + 1) * len(order) // (2 * count)] for rank in range(count)]


def save_paper_figures(
    folder: Path, runs: Iterable[TrainedRun], split: Split, picked: Sequence[int]
) -> list[Path]:
    """Figure 6 of all runs together, figures 7 and 8 of each, with its name where it is not alone.

    Args:
        folder: Existing folder; a figure of before that a run cannot have goes.
        runs: Taken one after another; their networks are not kept.
        split: Where the cases are, for all runs.
        picked: Indices of the cases, a row each.

    Returns:
        The files written, all of them or, where anything fails before, none.

    Raises:
        OSError: The folder cannot be written to.
    """
    preds: dict[str, list[np.ndarray]] = {}
    figures: dict[tuple[int, str], Figure | None] = {}
    models = {}
    cases: list[ShownCase] = []
    for run in runs:
        cases = cases or read_cases(run.config, split, picked)
        predictions = predict_cases(run.config, run.network, split, run.runtime, picked, cases)
        threshold = run.config.evaluation.threshold
        preds[run.name] = [prediction.prob >= threshold for prediction in predictions]
        figures[7, run.name] = draw_figure_7(cases, predictions)
        figures[8, run.name] = draw_figure_8(cases, predictions)
        models[run.name] = run.config.model.name
    named: dict[str, Figure | None] = {"figure_6.png": draw_figure_6(cases, preds)}
    for (number, name), figure in figures.items():
        file = f"figure_{number}_{name}.png" if len(preds) > 1 else f"figure_{number}.png"
        named[file] = figure
        if figure is None:
            print(f"{file} left out: this {models[name]} has no {_NEEDED[number]}")
    return save_figures(folder, named)


def save_figures(folder: Path, figures: Mapping[str, Figure | None]) -> list[Path]:
    """Write every figure whole, none of them before all can be; remove what is None.

    Args:
        folder: Existing folder.
        figures: By file name; None for one that is no longer to be there.

    Returns:
        The files written.

    Raises:
        OSError: The folder cannot be written to.
    """
    temporaries = {}
    try:
        for name, figure in figures.items():
            if figure is not None:
                temporary = folder / f".{name}.{os.getpid()}.tmp"
                temporaries[folder / name] = temporary
                # Without matplotlib's version, so that equal figures are equal files.
                figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})
        for path, temporary in temporaries.items():
            os.replace(temporary, path)
    finally:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)
    for name, figure in figures.items():
        if figure is None:
            (folder / name).unlink(missing_ok=True)
    return list(temporaries)
