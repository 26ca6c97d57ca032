"""The commands of the Makefile are ones that the scripts take."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def commands(target: str, script: str) -> list[list[str]]:
    """The arguments of every call of a script that a target makes."""
    done = subprocess.run(
        ["make", "-n", target], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    found = re.findall(rf"python {script} ([^;|&\n]*)", done.stdout)
    return [shlex.split(text.replace("$resume", "")) for text in found]


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize(("target", "count"), [("train", 1), ("weights", 2)])
def test_every_training_of_a_target_gets_as_far_as_its_data(
    target: str, count: int, tmp_path: Path, run_script: Callable, refused: Callable
) -> None:
    trainings = commands(target, "train.py")
    assert len(trainings) == count
    for arguments in trainings:
        missing = str(tmp_path / "none")
        changed = ["--set", f"data.root={missing}", "--set", "model.weights=null"]
        finished = run_script("train.py", *arguments, *changed)
        refused(finished, missing, "prepare.py")
