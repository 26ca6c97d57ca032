"""Several processes make the run that one makes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.training.job import REPOSITORY, settings_with, start_job
from tests.training.process_pair import ProcessPair
from tests.training.small_steps import SmallNetwork, disc_batch, make_step
from training.distributed import World
from training.step import split_batch
from utils.contracts import Batch

_LOSSES = ("train/loss/total", "train/dice_pooled", "val/loss/total", "val/dice", "val/mae")


def curves(save_dir: Path) -> dict[str, list[float]]:
    """The scalars of a run, epoch by epoch."""
    folder = save_dir / "train_config" / "seed2" / "tensorboard"
    events = EventAccumulator(str(folder)).Reload()
    return {tag: [event.value for event in events.Scalars(tag)] for tag in _LOSSES}


def ranks_of(job: subprocess.Popen) -> list[int]:
    """Process ids of a job's ranks; loader processes are their children."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(job.pid)], capture_output=True, text=True
    )
    return [int(pid) for pid in found.stdout.split()]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss__function": "dice", "training__ema_decay": 0.9},
    ],
    ids=["joint", "untrained heads, moving average"],
)
def test_two_processes_with_half_the_batch_reproduce_one(
    run_script: Callable, small_settings: list[str], tmp_path: Path, options: dict[str, Any]
) -> None:
    options |= {"data__augmentation__rotation": 10.0, "data__augmentation__noise": 0.1}
    options |= {"optimizer__learning_rate": 1e-3}
    one = settings_with(small_settings, checkpoint__save_dir=tmp_path / "one", **options)
    two = settings_with(small_settings, checkpoint__save_dir=tmp_path / "two", **options)
    assert run_script("train.py", *one).code == 0
    job = start_job(2, *two)
    out, err = job.communicate(timeout=120)
    assert job.returncode == 0, err
    assert out.count("epoch   1/2") == 1
    expected = curves(tmp_path / "one")
    for tag, values in curves(tmp_path / "two").items():
        # A score at a threshold moves with a single pixel of the 4 x 64 x 64.
        tolerance = 2e-5 if "loss" in tag else 2e-3
        assert values == pytest.approx(expected[tag], rel=tolerance, abs=tolerance), tag


def step_of_share(rank: int, sizes: list[tuple[int, int]]) -> list[torch.Tensor]:
    """The weights after one step of plain descent on this process's share, in parts."""
    batch = split_batch(disc_batch(count=5), 2)[rank]  # 2 and 3 slices
    return step_on(batch, World(rank, 2, rank), num_parts=2, sizes=sizes)


def step_on(batch: Batch, world: World, **options: Any) -> list[torch.Tensor]:
    torch.manual_seed(0)
    network = SmallNetwork(dropout=0)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    step = make_step(network, optimizer=optimizer, world=world, **options)
    step.train()
    step(batch)
    return [parameter.detach() for parameter in network.parameters()]


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [[], [(24, 24), (32, 32), (40, 40)]])
def test_two_processes_that_accumulate_make_the_step_of_one(
    process_pair: ProcessPair, sizes: list[tuple[int, int]]
) -> None:
    expected = step_on(disc_batch(count=5), World(), num_parts=1, sizes=sizes)
    for weights in process_pair.run(step_of_share, sizes):
        for own, whole in zip(weights, expected, strict=True):
            torch.testing.assert_close(own, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_last_batch_smaller_than_the_job_counts_every_slice_once(
    small_settings: list[str], tmp_path: Path
) -> None:
    # 8 slices in batches of 7: the second batch has one slice for two processes.
    save_dir = tmp_path / "two"
    settings = settings_with(
        small_settings,
        checkpoint__save_dir=save_dir,
        training__batch_size=7,
        training__epochs=1,
        evaluation__batch_size=3,
    )
    job = start_job(2, *settings)
    _, err = job.communicate(timeout=120)
    assert job.returncode == 0, err
    content = torch.load(save_dir / "train_config" / "seed2" / "last.pt", weights_only=True)
    assert content["best_scores"]["n"] == 4
    assert curves(save_dir)["train/loss/total"][0] < 0.8 * 2 + 0.4 * 3 + 1


@pytest.mark.slow
def test_a_killed_process_ends_the_job_in_seconds_with_a_clear_line(
    small_settings: list[str], tmp_path: Path
) -> None:
    settings = settings_with(
        small_settings,
        checkpoint__save_dir=tmp_path / "two",
        checkpoint__every_steps=1,
        training__epochs=10_000,
        early_stopping__patience=10_000,
    )
    job = start_job(2, *settings)
    last = tmp_path / "two" / "train_config" / "seed2" / "last.pt"
    deadline = time.monotonic() + 100
    while not last.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    killed = time.monotonic()
    os.kill(ranks_of(job)[1], signal.SIGKILL)
    out, err = job.communicate(timeout=60)
    assert time.monotonic() - killed < 30
    assert job.returncode != 0
    assert "error: another process of the job is gone" in err
    assert "go on with --resume" in out


@pytest.mark.slow
def test_a_batch_smaller_than_the_job_is_refused_once(small_settings: list[str]) -> None:
    job = start_job(2, *settings_with(small_settings, training__batch_size=1))
    _, err = job.communicate(timeout=60)
    assert job.returncode != 0
    assert err.count("error: training.batch_size") == 1


def collective_values(rank: int) -> dict[str, Any]:
    world = World(rank, 2, rank)
    with world.first_on_machine():
        pass
    return {
        "sum": world.sum([1.0 + rank, 0.1]),
        "any": [world.any(rank == 1), world.any(False)],
        "gather": world.gather({"rank": rank, "tensor": torch.full((2,), rank)}),
        "main": world.from_main(lambda: f"made by {rank}"),
    }


def test_the_collective_calls_agree(process_pair: ProcessPair) -> None:
    first, second = process_pair.run(collective_values)
    assert first["sum"] == second["sum"] == [3.0, 0.2]
    assert first["any"] == second["any"] == [True, False]
    assert [value["rank"] for value in second["gather"]] == [0, 1]
    assert second["gather"][0]["tensor"].tolist() == [0, 0]
    assert second["main"] == "made by 0"


def test_a_process_alone_agrees_with_itself() -> None:
    world = World()
    assert world.sum([2.0]) == [2.0]
    assert world.any(True)
    assert world.gather("x") == ["x"]
    assert world.from_main(lambda: 3) == 3


_LEAVE = """
import weakref
import torch.distributed as dist
from training.distributed import leave_world

dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
import torch.distributed.nn.functional  # as torch._dynamo does
group = weakref.ref(dist.group.WORLD)
cycle = [group()]
cycle.append(cycle)
del cycle
leave_world()
assert group() is None
"""


@pytest.mark.slow
def test_nothing_holds_the_group_that_was_left() -> None:
    # Its threads would live on, and abort the process from within the shutdown of Python.
    run = subprocess.run(
        [sys.executable, "-c", _LEAVE], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
