"""The pair of processes answers, and tells of whatever keeps it from that."""

import os
import time
import warnings

import pytest
import torch

from tests.training.process_pair import ProcessPair


def leave_traces(rank: int) -> None:
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(2)
    warnings.simplefilter("error")


def traces(rank: int) -> list:
    warnings.warn("no error", stacklevel=1)
    return [torch.get_default_dtype(), torch.get_num_threads(), torch.rand(1).item()]


def test_a_function_finds_the_state_of_the_start(process_pair: ProcessPair) -> None:
    before = process_pair.run(traces)
    process_pair.run(leave_traces)
    assert process_pair.run(traces) == before
    assert before[0] == before[1] == [torch.float32, 1, before[0][2]]


def raise_and_die(rank: int) -> None:
    if rank == 0:
        raise ValueError("no good")
    os._exit(3)


def rest_in_second(rank: int, seconds: float) -> None:
    if rank == 1:
        time.sleep(seconds)


@pytest.mark.slow
def test_failures_are_told_and_the_next_function_runs() -> None:
    pair = ProcessPair()
    with pytest.raises(RuntimeError) as caught:
        pair.run(raise_and_die)
    for part in ("process 0 failed:", "in raise_and_die", "no good", "1 died with exit code 3"):
        assert part in str(caught.value)
    assert pair.run(rest_in_second, 0) == [None, None]
    pair.patience = 0.5
    with pytest.raises(RuntimeError, match=r"^process 1 does not answer$"):
        pair.run(rest_in_second, 1000)
    pair.close()
