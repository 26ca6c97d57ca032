"""What a library raises, as one clear line."""

import errno
from pathlib import Path

import pytest
import torch

from utils.errors import MachineError, UserError, explain

FOLDER = Path("checkpoint/run/seed2")


@pytest.mark.parametrize(
    ("error", "kind", "part"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.json"), UserError, "a.json: cannot"),
        (OSError(errno.ENOSPC, "No space left on device"), UserError, "checkpoint/run/seed2: "),
        (torch.OutOfMemoryError("CUDA out of memory."), MachineError, "accumulation_steps"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            MachineError,
            "memory ran out",
        ),
        (
            RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"),
            MachineError,
            "num_workers",
        ),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset"), MachineError, "num_workers"),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
            MachineError,
            "num_workers",
        ),
    ],
)
def test_known_faults_are_explained(error: Exception, kind: type, part: str) -> None:
    explained = explain(error, FOLDER, num_processes=1)
    assert isinstance(explained, kind)
    assert part in str(explained)
    assert len(str(explained).splitlines()) == 1


def test_a_lost_process_is_explained_in_a_job_only() -> None:
    error = RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]")
    assert isinstance(explain(error, FOLDER, num_processes=2), MachineError)
    assert explain(error, FOLDER, num_processes=1) is error


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), KeyError("mask"), SystemExit(3)])
def test_an_error_of_this_code_stays_as_it_is(error: BaseException) -> None:
    assert explain(error, FOLDER, num_processes=1) is error


def test_a_users_mistake_met_by_a_loader_process_loses_its_traceback() -> None:
    text = (
        "Caught UserError in DataLoader worker process 0.\nOriginal Traceback (most recent call "
        'last):\n  File "x.py", line 1, in y\nutils.errors.UserError: a.png: damaged; restore it\n'
    )
    assert str(explain(UserError(text), FOLDER, 1)) == "a.png: damaged; restore it"


def test_names_out_of_files_neither_break_the_line_nor_steer_the_terminal() -> None:
    line = str(UserError("a\nb\r.png: \x1b[2J\u2028 é \udcff is no name"))
    assert line == r"a\nb\r.png: \x1b[2J\u2028 é \udcff is no name"
    assert line.isprintable()


def test_lines_that_stand_below_a_long_one_are_kept_apart() -> None:
    lines = str(UserError("nothing", "  expected a\n", "  or b")).split("\n")
    assert lines == ["nothing", r"  expected a\n", "  or b"]
