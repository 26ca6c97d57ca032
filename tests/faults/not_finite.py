"""Weights and losses that are no numbers."""

import random
from collections.abc import Iterator

import torch

from tests.faults.bench import Bench
from tests.faults.comparison import read
from tests.faults.damage import stop_in_the_middle
from tests.faults.outcome import Outcome, finish, unclean
from training.checkpoint import load_checkpoint, save_checkpoint


def resume_with_nan(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """A weight of last.pt is NaN: the next step refuses, the file stays as it is."""
    for _ in range(count):
        run = stop_in_the_middle(bench, dice)
        good = run.last.read_bytes()
        content = load_checkpoint(run.last)
        weight = content["model"][dice.choice(sorted(_weights(content["model"])))]
        weight[tuple(dice.randrange(size) for size in weight.shape)] = float("nan")
        save_checkpoint(run.last, content)
        spoilt = run.last.read_bytes()
        problems = unclean(run.go_on(), 2, "not finite", "train0")
        problems += [] if run.last.read_bytes() == spoilt else ["last.pt was written"]
        run.last.write_bytes(good)
        yield finish("NaN in a weight of last.pt", run, bench.reference(), "", problems)


def overflow(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """A learning rate that overflows: one line with the slices, and last.pt stays finite."""
    for _ in range(count):
        # Adam's first step has the size of the learning rate: such weights overflow float32.
        run = bench.run(optimizer__learning_rate=f"1e{dice.randrange(28, 33)}")
        problems = unclean(run.go_on(), 2, "not finite", "train0", "weights are unchanged")
        content = read(run.last)
        weights = [] if content is None else _weights(content["model"]).values()
        if not all(torch.isfinite(weight).all() for weight in weights):
            problems.append("last.pt holds what is not finite")
        yield Outcome("learning rate that overflows", problems)


def _weights(model: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in model.items() if name.endswith(".weight")}
