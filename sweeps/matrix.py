"""Trained on A, tested on B unchanged: a score for each pair of data sets that share nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

from datasets.image_io import read_gray
from datasets.pairing import find_slices
from datasets.sources.scan_names import patient_of_scan
from datasets.stored import map_ahead
from evaluation.paper_figures import save_figures
from evaluation.results import read_row
from figures.matrix import draw_matrix
from metrics.registry import METRICS
from preparation.checks.leaks import Leaks, PlacedSlice, find_leaks_by_look
from preparation.checks.near_duplicates import make_thumbnail
from sweeps.launch import REPOSITORY, Task, run_task
from sweeps.plan import Run
from sweeps.record import SCORES, fingerprint_data
from utils.errors import MachineError, UserError
from utils.files import write_rows
from utils.progress import Progress

_METRIC = "dice"
_FOLDER = "on"  # of a run: on/<data set>
_LEARNT, _TESTED = "train", "test"


class Cell(NamedTuple):
    """A network trained on one data set with one seed, on the test part of another."""

    run: Run
    tested: str
    root: Path

    @property
    def out(self) -> Path:
        return self.run.folder.path / _FOLDER / self.tested


def find_shared(learnt: Path, tested: Path) -> str:
    """What the train and val parts of one data folder share with the test part of another.

    Patients are compared by name, those of known scans by the number that every publication of
    them keeps; slices by their look (preparation.checks.near_duplicates).

    Returns:
        A line; '' where nothing is shared.
    """
    parts = [(learnt, split, _LEARNT) for split in ("train", "val")] + [(tested, "test", _TESTED)]
    slices, images = [], []
    for root, split, role in parts:
        for entry in find_slices(root, split) if (root / split / "image").is_dir() else []:
            slices.append(PlacedSlice(entry.name, patient_of_scan(entry.patient), role))
            images.append(entry.image)
    thumbnails = list(map_ahead(lambda path: make_thumbnail(read_gray(path)), images))
    leaks: Leaks = find_leaks_by_look(slices, thumbnails)
    return leaks.describe().replace(" in two splits", " in both")


def fill_matrix(finished: Sequence[Run], jobs_threads: int) -> list[dict[str, Any]]:
    """Score every finished run on the test part of every data set of the plan.

    Scores that are there already are kept: of the run's own data set, and of cells before.

    Args:
        finished: Trained and scored, all of one size.
        jobs_threads: Threads of the process that scores.

    Returns:
        A row per cell and seed, with its score, or why there is none.

    Raises:
        MachineError: A cell could not be scored; with the end of its log.
    """
    roots = {run.data: Path(run.config.data.root) for run in finished}
    prints = {name: fingerprint_data(root) for name, root in roots.items()}
    shared: dict[tuple[str, str], str] = {}
    rows = []
    cells = [Cell(run, name, root) for run in finished for name, root in roots.items()]
    for cell in Progress(cells, "cells"):
        key = cell.run.data, cell.tested
        if key not in shared:
            is_same = key[0] == key[1]
            shared[key] = "" if is_same else find_shared(roots[key[0]], cell.root)
        row = {
            "sweep": cell.run.sweep,
            "row": cell.run.row,
            "trained_on": cell.run.data,
            "tested_on": cell.tested,
            "seed": cell.run.seed,
            "refused": shared[key],
            "data_fingerprint": prints[cell.tested],
        }
        if not shared[key]:
            row |= _score(cell, jobs_threads)
        rows.append(row)
    return rows


def _score(cell: Cell, threads: int) -> dict[str, Any]:
    """The score of a cell, by test.py where it is not there yet."""
    folder = cell.run.folder.path
    if cell.tested != cell.run.data:
        folder = cell.out
        if not (folder / SCORES).is_file():
            arguments = ("--checkpoint", str(cell.run.folder.best), "--no-report")
            places = ("--set", f"data.root={cell.root}", "--out", str(folder))
            command = (str(REPOSITORY / "test.py"), *arguments, *places)
            task = Task(f"{cell.run.name} on {cell.tested}", command, f"{folder}.log", threads)
            outcome = run_task(task)
            if outcome.code:
                raise MachineError(f"{task.name}: exit code {outcome.code}; {outcome.tail}")
    scored = read_row(folder)
    keys = ("split", "n", "n_patients", "protocol", "size", "threshold", "empty_target")
    return {key: scored[key] for key in (*keys, *METRICS) if key in scored}


def write_matrix(rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    """The CSV of the cells, and the heat map beside it, as PNG and PDF.

    Raises:
        UserError: There is no row, or a file cannot be written.
    """
    if not rows:
        raise UserError(f"{file}: no run of the matrix is finished; run the sweep first")
    file.parent.mkdir(parents=True, exist_ok=True)
    columns = dict.fromkeys(key for row in rows for key in row)
    write_rows(file, [{key: row.get(key) for key in columns} for row in rows])
    means = {pair: mean(values) for pair, values in group_scores(rows).items()}
    names = list(dict.fromkeys(row["trained_on"] for row in rows))
    figure = draw_matrix(names, names, means)
    save_figures(file.parent, {f"{file.stem}.png": figure, f"{file.stem}.pdf": figure})


def group_scores(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], list[float]]:
    """The seeds' Dice by trained and tested on; refused cells are left out."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row.get(_METRIC) not in (None, ""):
            key = row["trained_on"], row["tested_on"]
            found.setdefault(key, []).append(float(row[_METRIC]))
    return found


def format_matrix(rows: Sequence[Mapping[str, Any]]) -> str:
    """The matrix as Markdown: mean Dice ± deviation over seeds; why a cell is refused, below."""
    scores, metric = group_scores(rows), METRICS[_METRIC]
    names = list(dict.fromkeys(row["trained_on"] for row in rows))
    refused = {
        (row["trained_on"], row["tested_on"]): row["refused"] for row in rows if row["refused"]
    }
    lines = [f"| trained on | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for trained in names:
        cells = []
        for tested in names:
            values = scores.get((trained, tested), [])
            parts = [metric.format(mean(values))] if values else []
            parts += [metric.format(stdev(values))] if len(values) > 1 else []
            cells.append(" ± ".join(parts) or "refused")
        lines.append(f"| {trained} | {' | '.join(cells)} |")
    notes = [f"{a} on {b} refused: {why}." for (a, b), why in refused.items()]
    seeds = sorted({int(row["seed"]) for row in rows})
    told = f"Dice in %, columns: tested on; seeds {', '.join(map(str, seeds))}."
    return "\n".join([*lines, "", told, *notes])
