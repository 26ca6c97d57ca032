"""Where the output goes, and the end of the terminal: a run goes on, or ends with one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import write_slices
from utils.errors import MachineError, explain

REPOSITORY = Path(__file__).resolve().parent.parent


def start(*arguments: str | Path, **options: object) -> subprocess.Popen:
    """A script in a process of its own, one thread."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | options.pop("env", {})
    command = [sys.executable, *map(str, arguments)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, **options)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_name_that_the_code_page_lacks_is_escaped(encoding: str, tmp_path: Path) -> None:
    root = tmp_path / "数据"
    for seed, split in enumerate(("train", "val")):
        write_slices(root, split, 2, seed=seed)
    done = start("prepare.py", "check", root, env={"PYTHONIOENCODING": encoding})
    out, err = done.communicate(timeout=120)
    assert done.returncode == 0, err
    assert "\\u6570\\u636e" in out
    assert "Traceback" not in err


def test_a_full_disk_behind_the_output_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = start("prepare.py", "--list", stdout=full)
        err = done.communicate(timeout=120)[1]
    assert done.returncode == 2
    assert err == "error: the output: cannot be written (No space left on device); make room\n"


@pytest.mark.slow
def test_a_run_goes_on_where_its_reader_has_gone(small_settings: list[str], tmp_path: Path) -> None:
    run = start("train.py", *small_settings)
    while not run.stdout.readline().startswith("code"):  # the last line before the first epoch
        assert run.poll() is None
    run.stdout.close()
    with run.stderr:
        assert run.wait(timeout=120) == 0
        (warning,) = run.stderr.read().splitlines()
    assert warning.startswith("warning: no more is printed (Broken pipe); training goes on")
    assert list((tmp_path / "runs").rglob("best.pt"))


def _until_trained(run: subprocess.Popen) -> None:
    """Wait for the line of the first epoch."""
    while not run.stdout.readline().startswith("epoch"):
        assert run.poll() is None


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the system has no SIGHUP")
def test_a_terminal_that_closes_saves_the_run(small_settings: list[str], tmp_path: Path) -> None:
    run = start(
        "train.py",
        *small_settings,
        *("--set", "training.epochs=1000"),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # whoever runs the tests
    )
    _until_trained(run)
    run.send_signal(signal.SIGHUP)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 129, err
    assert "stopped by SIGHUP" in err
    assert "go on with --resume" in out
    assert list((tmp_path / "runs").rglob("last.pt"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the system has no SIGHUP")
def test_nohup_is_obeyed(small_settings: list[str]) -> None:
    run = start(
        "train.py",
        *small_settings,
        *("--set", "training.epochs=1000"),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    _until_trained(run)
    run.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    _until_trained(run)
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=120)
    assert run.returncode == 143


@pytest.mark.parametrize(
    "text",
    [
        "Caught RuntimeError in DataLoader worker process 0.\nRuntimeError: unable to allocate "
        "shared memory(shm) for file </torch_1_2_3>: No space left on device (28)",
        "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that "
        "dataloader's workers are out of shared memory.",
    ],
)
def test_too_little_shared_memory_says_what_to_do(text: str) -> None:
    found = explain(RuntimeError(text), Path("run"), 1)
    assert isinstance(found, MachineError)
    assert "/dev/shm" in str(found)
    assert "data.num_workers to 0" in str(found)
