"""What all commands have in common."""

from collections.abc import Callable
from pathlib import Path

import pytest

COMMANDS = {
    "predict": ["predict.py", "--checkpoint", "no.pt", "--input", "no.png"],
    "test": ["test.py", "--compare", "no_a", "no_b"],
    "generic": ["prepare.py", "generic", "--from", "no"],
    "source": ["prepare.py", "mosmed", "--from", "no"],
    "paper": ["prepare.py", "paper", "--from", "no"],
    "synthetic": ["prepare.py", "synthetic", "--slices", "0"],
    "describe": ["prepare.py", "describe", "no"],
}


@pytest.mark.parametrize("form", [["--output", "{}"], ["--output={}"]])
@pytest.mark.parametrize("command", COMMANDS)
def test_output_is_told_that_it_is_called_out(
    command: str, form: list[str], run_script: Callable, tmp_path: Path
) -> None:
    """The command then fails at its next mistake just as with --out."""
    given = [part.format(tmp_path / "out") for part in form]
    finished = run_script(*COMMANDS[command], *given)
    plain = run_script(*COMMANDS[command], "--out", tmp_path / "out")
    assert finished.err == "warning: --output is called --out\n" + plain.err
    assert finished.code == plain.code == 2
    assert "--out" not in plain.err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_errors_name_out_alone(command: str, run_script: Callable) -> None:
    script, *arguments = COMMANDS[command]
    finished = run_script(script, *(arguments[:1] if script == "prepare.py" else ()), "--help")
    assert finished.code == 0
    assert "--out" in finished.out
    assert "--output" not in finished.out


def test_a_command_without_its_place_names_out(run_script: Callable) -> None:
    finished = run_script(*COMMANDS["synthetic"])
    assert finished.code == 2
    assert "required: --out " in finished.err


def test_a_synthetic_set_is_written_where_output_says(run_script: Callable, tmp_path: Path) -> None:
    sizes = ["--patients", 1, 1, 1, "--slices", 2, "--size", 64]
    finished = run_script("prepare.py", "synthetic", "--output", tmp_path / "out", *sizes)
    assert finished.code == 0
    assert (tmp_path / "out" / "train" / "image").is_dir()
