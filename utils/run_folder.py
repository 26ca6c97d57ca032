"""The folder of one run: <save_dir>/<experiment>/seed<k>/."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from utils.errors import UserError


class RunFolder(NamedTuple):
    """Where a run keeps what it makes."""

    path: Path

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


def experiment_name(config_path: Path, experiments: Sequence[str]) -> str:
    """The run's name: its experiments joined, or the stem of the configuration file."""
    return "+".join(experiments) or config_path.stem


def open_run_folder(save_dir: str, name: str, seed: int, resume: bool) -> RunFolder:
    """The folder of a new run, or of the run to resume.

    Raises:
        UserError: A new run would overwrite an old one, there is nothing to resume, or the
            folder cannot be made.
    """
    folder = RunFolder(Path(save_dir) / name / f"seed{seed}")
    if resume and not folder.last.is_file():
        raise UserError(f"{folder.last}: nothing to resume; start the run without --resume")
    if not resume and (folder.last.exists() or folder.best.exists()):
        raise UserError(
            f"{folder.path}: holds a run already; go on with --resume, choose another "
            "training.seed or checkpoint.save_dir, or remove the folder"
        )
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"checkpoint.save_dir: {folder.path}: {error.strerror}") from error
    return folder
