"""Sweeps that are run together: their runs, which of these are finished, their results."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from evaluation.second_masks import score_second_masks
from sweeps.curves import draw_sweep
from sweeps.matrix import fill_matrix, format_matrix, write_matrix
from sweeps.plan import Run, check_plans, plan_sweep
from sweeps.record import Record, check_record, fingerprint_data
from sweeps.results import Finished, collect, results_file
from sweeps.specification import Size, Sweep, read_sweep
from training.split import open_split
from utils.errors import UserError, suggestion


class Planned(NamedTuple):
    """A sweep with its runs, the folder of these, and the CSV of its results."""

    sweep: Sweep
    runs: list[Run]
    folder: Path
    file: Path


class Session:
    """The sweeps of one command.

    Args:
        files: YAML of each.
        size: Of all of them.
        out: Where runs are kept.
        results: Where the CSV files are.
        roots: Folders of data sets by name.
        overrides: 'a.b=value' pairs for all runs.
        second_masks: Folders of a second annotator's masks, by name of the data set.
        rows: Those that are run now; none: all.

    Raises:
        UserError: A sweep is wrong, no sweep has such a row, two runs would write one folder, data
            is missing, or a run was begun with other data or settings.
    """

    def __init__(
        self,
        files: Sequence[Path],
        size: Size,
        *,
        out: Path,
        results: Path,
        roots: Mapping[str, Path],
        overrides: Sequence[str],
        second_masks: Mapping[str, Path],
        rows: Collection[str] = (),
    ) -> None:
        self.planned = []
        for file in files:
            sweep = read_sweep(file)
            try:
                runs = plan_sweep(file.stem, sweep, size, out=out, roots=roots, overrides=overrides)
            except UserError as error:
                raise UserError(f"{file}: {error}") from error
            target = results_file(file.stem, size, results)
            self.planned.append(Planned(sweep, runs, out / file.stem / size, target))
        self.runs = check_plans([one.runs for one in self.planned])
        _check_known(roots, self.runs, "--data")
        _check_known(second_masks, self.runs, "--second-masks")
        self.second_masks = second_masks
        used = {run.config.data.root for run in self.runs}
        self.data = {root: fingerprint_data(Path(root)) for root in sorted(used)}
        _check_rows(rows, self.runs)
        self.chosen = [run for run in self.runs if not rows or run.row in rows]
        self.left = [run for run in self.chosen if not self.read_finished(run)]

    def read_finished(self, run: Run) -> Record | None:
        """The record of a run that is trained and scored, by the settings and data of the plan."""
        record = check_record(run.folder, run.config, self.data[run.config.data.root])
        return record if record is not None and record.is_finished else None

    def finished_of(self, one: Planned) -> list[Run]:
        """The finished runs of a sweep."""
        return [run for run in one.runs if self.read_finished(run)]

    def draw(self) -> list[Path]:
        """The figures of every sweep, in figures/ beside its data sets' folders."""
        return [
            file
            for one in self.planned
            for file in draw_sweep(one.sweep, self.finished_of(one), one.folder / "figures")
        ]

    def fill_matrices(self, threads: int) -> list[Path]:
        """Every sweep's networks on the test part of every other data set: CSV and heat map."""
        written = []
        for one in self.planned:
            file = one.file.with_name(f"{one.file.stem}_matrix.csv")
            rows = fill_matrix(self.finished_of(one), threads)
            write_matrix(rows, file)
            print(format_matrix(rows))
            written.append(file)
        return written

    def compare_annotators(self) -> None:
        """Score second masks of data sets, in the folder of the first finished run on each."""
        for name, folder in self.second_masks.items():
            run = next((r for r in self.runs if r.data == name and self.read_finished(r)), None)
            if run is not None:
                split = open_split(run.config.data, "test")
                print(score_second_masks(folder, split, run.config, run.folder.path))

    def write_results(self, of: str | None = None) -> list[Path]:
        """A row per finished run into the CSV of its sweep; the files that hold any row.

        Args:
            of: Name of a run, whose sweep alone is written; None writes all.
        """
        written = []
        for one in self.planned:
            if of is not None and all(run.name != of for run in one.runs):
                continue
            found = [(run, self.read_finished(run)) for run in one.runs]
            finished = [Finished(run, record) for run, record in found if record]
            if collect(finished, one.sweep.baseline, one.file):
                written.append(one.file)
        return written


def _check_known(folders: Mapping[str, Path], runs: Sequence[Run], option: str) -> None:
    """A folder that is given for a data set which no run takes is a slip."""
    known = {run.data for run in runs}
    for name in folders:
        if name not in known:
            raise UserError(
                f"{option} {name}: no sweep here takes this data set; they take "
                f"{', '.join(sorted(known))}"
            )


def _check_rows(rows: Collection[str], runs: Sequence[Run]) -> None:
    """Every row is one of a sweep."""
    known = dict.fromkeys(run.row for run in runs)
    for row in rows:
        if row not in known:
            raise UserError(
                f"--rows {row}: no sweep here has this row{suggestion(row, known)}; they have "
                f"{', '.join(known)}"
            )
