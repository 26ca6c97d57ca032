"""The figures of a sweep: 6, 7 and 8 of the paper, and loss and Dice over the epochs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from evaluation.paper_figures import (
    lesion_areas,
    pick_by_area,
    save_figures,
    save_paper_figures,
)
from figures.training_curves import PANELS, draw_training_curves
from sweeps.plan import Run
from sweeps.specification import Sweep
from training.split import open_split
from training.trained_run import TrainedRun, open_run
from utils.errors import UserError

FORMATS = ("png", "pdf")
_NUM_CASES = 4
_TAGS = {"train_loss": "train/loss/total", "val_loss": "val/loss/total", "val_dice": "val/dice"}


def draw_sweep(sweep: Sweep, finished: Sequence[Run], folder: Path) -> list[Path]:
    """The figures of a sweep's finished runs, as PNG and PDF, in a folder for each data set.

    Figures 6 to 8 are of the first seed of the rows that the sweep names for figures, where their
    best.pt is there; the curves are of all rows and seeds whose TensorBoard events are there.

    Args:
        sweep: Its rows.
        finished: Its finished runs.
        folder: Of the figures.

    Returns:
        The files written.

    Raises:
        UserError: No run is finished or has kept what is drawn, or the folder cannot be written to.
    """
    if not finished:
        raise UserError(f"{folder}: no run is finished, so there is nothing to draw; run the sweep")
    written = []
    for data in dict.fromkeys(run.data for run in finished):
        runs = [run for run in finished if run.data == data]
        (folder / data).mkdir(parents=True, exist_ok=True)
        shown = [
            run
            for run in runs
            if run.seed == runs[0].seed
            and run.row in (sweep.figures or sweep.rows)
            and run.folder.best.is_file()
        ]
        if shown:
            written += _draw_cases(sweep, shown, folder / data)
        if curves := _read_curves(sweep, runs):
            figure = draw_training_curves(curves)
            written += save_figures(folder / data, {f"curves.{form}": figure for form in FORMATS})
    if not written:
        raise UserError(f"{folder}: no run has its best.pt or its TensorBoard events any more")
    return written


def _draw_cases(sweep: Sweep, runs: Sequence[Run], folder: Path) -> list[Path]:
    """Figures 6, 7 and 8 of runs on one data set."""
    first = open_run(runs[0].folder.best, sweep.rows[runs[0].row].title)
    split = open_split(first.config.data, "test")
    picked = pick_by_area(lesion_areas(first.config, split), _NUM_CASES)

    def opened() -> Iterator[TrainedRun]:
        for run in runs:
            yield open_run(run.folder.best, run.row)

    return save_paper_figures(folder, opened(), split, picked, FORMATS)


def _read_curves(sweep: Sweep, runs: Sequence[Run]) -> dict[str, dict[str, np.ndarray]]:
    """Of every row its seeds' curves, filled up with NaN to the longest."""
    curves = {}
    for name, row in sweep.rows.items():
        folders = [run.folder.tensorboard for run in runs if run.row == name]
        seeds = [_read_events(folder) for folder in folders if folder.is_dir()]
        if seeds:
            length = max(len(seed[key]) for seed in seeds for key in PANELS)
            curves[row.title] = {
                key: np.array([seed[key] + [np.nan] * (length - len(seed[key])) for seed in seeds])
                for key in PANELS
            }
    return curves


def _read_events(folder: Path) -> dict[str, list[float]]:
    """The curves of a run, by the key of a panel.

    Raises:
        UserError: There are no events of them.
    """
    events = EventAccumulator(str(folder))
    events.Reload()
    try:
        return {key: [event.value for event in events.Scalars(tag)] for key, tag in _TAGS.items()}
    except KeyError as error:
        raise UserError(f"{folder}: no curve {error.args[0]}; were the events removed?") from error
