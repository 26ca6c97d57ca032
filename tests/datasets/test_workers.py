"""Worker processes and signals: the main process alone decides when they end."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

# A program with a loader of two workers; its main process notes the signals that it gets.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {repository!r})
from datasets.batches import SeededBatches, create_loader
from datasets.pairing import find_slices
from datasets.inspection import inspect_slices
from datasets.slices import SliceDataset
from datasets.transforms import SliceTransform

slices = find_slices(Path({root!r}), "train")
dataset = SliceDataset(slices, inspect_slices(slices).encoding, SliceTransform((32, 32)), 2)
loader = create_loader(dataset, SeededBatches(len(dataset), 1, seed=1), num_workers=2)
iterator = iter(loader)
first = [next(iterator), next(iterator)]  # one batch of each worker: both are up
workers = iterator._workers
received = []  # the handlers come late, so that no worker inherits them
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, frame: received.append(number))
"""

AFTER_SIGNALS_TO_THE_GROUP = """
print("ready", flush=True)
sys.stdin.readline()
assert received == [signal.SIGTERM, signal.SIGINT], received
assert len(first) + len(list(iterator)) == 8
for _ in range(2):  # whole epochs, from the workers that were there before
    assert len(list(loader)) == 8
assert all(worker.is_alive() for worker in workers)
print("finished")
"""

AFTER_TERMINATE = """
for worker in workers:
    worker.terminate()
for worker in workers:
    worker.join(20)
assert [worker.exitcode for worker in workers] == [0, 0]
print("finished")
"""

AFTER_A_WORKER_WAS_KILLED = """
os.kill(workers[0].pid, signal.SIGKILL)
for _ in range(100):
    list(loader)
print("finished")
"""

IN_AN_ERROR = """
print("ready", flush=True)
sys.stdin.readline()
print("finished", flush=True)
raise KeyboardInterrupt
"""


def start(root: Path, ending: str) -> subprocess.Popen[str]:
    """Start the program in a process group of its own."""
    program = PROGRAM.format(repository=str(REPOSITORY), root=str(root)) + ending
    return subprocess.Popen(
        [sys.executable, "-c", program],
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def signal_group_and_finish(program: subprocess.Popen[str]) -> tuple[str, str]:
    """Send both signals to the whole group, then let the program go on; what it printed."""
    assert program.stdout.readline() == "ready\n"
    for number in (signal.SIGTERM, signal.SIGINT):
        os.killpg(program.pid, number)
        time.sleep(0.3)
    return program.communicate("go on\n", timeout=60)


needs_sigwaitinfo = pytest.mark.skipif(
    not hasattr(signal, "sigwaitinfo"), reason="the system has no sigwaitinfo"
)


@pytest.mark.slow
@needs_sigwaitinfo
def test_workers_outlive_signals_to_the_process_group(data_root: Path) -> None:
    program = start(data_root, AFTER_SIGNALS_TO_THE_GROUP)
    out, error = signal_group_and_finish(program)
    assert (program.returncode, out) == (0, "finished\n"), error


@pytest.mark.slow
@needs_sigwaitinfo
def test_workers_end_when_their_main_process_terminates_them(data_root: Path) -> None:
    program = start(data_root, AFTER_TERMINATE)
    out, error = program.communicate(timeout=60)
    assert (program.returncode, out) == (0, "finished\n"), error


@pytest.mark.slow
@needs_sigwaitinfo
def test_a_program_that_is_stopped_within_an_epoch_does_not_hang(data_root: Path) -> None:
    program = start(data_root, IN_AN_ERROR)
    out, error = signal_group_and_finish(program)
    assert out == "finished\n", error
    assert error.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.slow
def test_a_killed_worker_is_an_error_and_no_hang(data_root: Path) -> None:
    program = start(data_root, AFTER_A_WORKER_WAS_KILLED)
    out, error = program.communicate(timeout=60)
    assert program.returncode == 1
    assert "finished" not in out
    # A worker that dies while it hands a batch over resets or closes the connection.
    known = "DataLoader worker .*(killed by signal|exited unexp)|Connection reset|EOFError"
    assert re.search(known, error)
