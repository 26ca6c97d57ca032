"""Inputs that the product did not take as it should, kept with their tracebacks."""

import shutil
from pathlib import Path
from typing import NamedTuple


class Failure(NamedTuple):
    """An input, and what it did."""

    kind: str
    seed: int
    index: int
    reason: str

    @property
    def name(self) -> str:
        """Of its folder."""
        kind = self.kind.rpartition(":")[2].replace(" ", "_")
        return f"{kind}_seed{self.seed}_{self.index}"


def save(out: Path, failure: Failure, input_folder: Path) -> None:
    """Keep the files of an input and what went wrong, in a folder of its own below `out`."""
    target = out / failure.name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    (target / "traceback.txt").write_text(failure.reason + "\n", encoding="utf-8")
    if (input_folder / "in").is_dir():
        shutil.copytree(input_folder / "in", target / "in")
