"""The folder of one run: <save_dir>/<experiment>/seed<k>/."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from training.checkpoint import previous_path
from utils.errors import UserError
from utils.files import DRAFTS


class RunFolder(NamedTuple):
    """Where a run keeps what it makes."""

    path: Path

    @classmethod
    def of(cls, save_dir: str, name: str, seed: int) -> "RunFolder":
        """The folder of an experiment's run with a seed."""
        return cls(Path(save_dir) / name / f"seed{seed}")

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def best(self) -> Path:
        return self.path / "best.pt"

    @property
    def last(self) -> Path:
        return self.path / "last.pt"

    @property
    def run_info(self) -> Path:
        return self.path / "run_info.json"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    def is_begun(self) -> bool:
        """Whether a run was kept here that can go on."""
        return self.last.is_file() or previous_path(self.last).is_file()

    def can_go_on(self) -> bool:
        """Whether this run is begun, or one within it, such as a stage of self-training."""
        return any(folder.is_begun() for folder in (self, *self._inner()))

    def clear_first_epochs(self) -> None:
        """Remove best.pt of this run and those within it that were killed before a last.pt."""
        for folder in (self, *self._inner()):
            if not folder.is_begun():
                folder.best.unlink(missing_ok=True)

    def _inner(self) -> "list[RunFolder]":
        return [RunFolder(path.parent) for path in sorted(self.path.glob(f"*/{self.config.name}"))]

    def job(self) -> str | None:
        """Which torchrun began or resumed the run last, as run_info.json has it."""
        try:
            return json.loads(self.run_info.read_text(encoding="utf-8"))["job"]
        except (OSError, ValueError, KeyError, TypeError):
            return None


def experiment_name(config_path: Path, experiments: Sequence[str]) -> str:
    """The run's name: its experiments joined, or the stem of the configuration file."""
    return "+".join(experiments) or config_path.stem


def open_run_folder(folder: RunFolder, resume: bool, job: str | None = None) -> bool:
    """Make the folder of a new run, or find the run to resume.

    Args:
        folder: The run's.
        resume: Whether the user wants to go on.
        job: Which torchrun asks. The run that the same one has begun goes on by itself.

    Returns:
        Whether to go on.

    Raises:
        UserError: A new run would overwrite an old one, there is nothing to resume, or the
            folder cannot be made.
    """
    restarted = job is not None and folder.job() == job
    is_kept = folder.is_begun()
    if resume and not restarted and not is_kept:
        rest = "start the run without --resume"
        if folder.best.exists():
            rest = "best.pt alone lies there; remove the folder to begin anew"
        raise UserError(f"{folder.last}: nothing to resume; {rest}")
    if not (resume or restarted) and (is_kept or folder.best.exists()):
        raise UserError(
            f"{folder.path}: holds a run already; go on with --resume, choose another "
            "training.seed or checkpoint.save_dir, or remove the folder"
        )
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        for draft in folder.path.glob(DRAFTS):
            draft.unlink()  # what a process that was killed has left half written
    except OSError as error:
        raise UserError(f"checkpoint.save_dir: {folder.path}: {error.strerror}") from error
    return is_kept
