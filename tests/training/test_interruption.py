"""Signals as requests."""

import os
import signal
import subprocess
import sys
import time

import pytest

from training.interruption import StopRequest

_STUCK = """
import signal, sys, time, training.interruption
training.interruption._GRACE_S = 0.3
signal.signal(signal.SIGCHLD, lambda *_: None)
with training.interruption.StopRequest(in_job=True):
    print("ready", flush=True)
    deadline = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < deadline:
        time.sleep(0.05)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_nothing_is_raised(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    former = signal.getsignal(number)
    with StopRequest() as stop:
        assert not stop.is_made
        os.kill(os.getpid(), number)
        time.sleep(0.01)
        assert stop.is_made
        assert stop.signal_number == number
    assert signal.getsignal(number) == former
    assert "stopping after this step" in capfd.readouterr().err


def test_a_second_ctrl_c_leaves_at_once() -> None:
    def ask_twice() -> None:
        with StopRequest(speak=False):
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.1)

    with pytest.raises(KeyboardInterrupt):
        ask_twice()


def test_in_a_job_only_the_first_signal_counts() -> None:
    with StopRequest(in_job=True, speak=False) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        assert stop.signal_number == signal.SIGTERM


@pytest.mark.parametrize(
    ("number", "seconds", "exit_code"),
    [(signal.SIGTERM, 20, 128 + signal.SIGTERM), (signal.SIGCHLD, 1, 0)],
)
def test_a_process_of_a_job_that_does_not_stop_when_asked_is_ended(
    number: signal.Signals, seconds: int, exit_code: int
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _STUCK, str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=15)
    assert process.returncode == exit_code
    assert ("does not answer" in err) == (exit_code != 0)
    assert "Traceback" not in err
