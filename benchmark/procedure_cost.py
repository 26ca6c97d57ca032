"""What a step of each procedure costs; see python -m benchmark procedures --help."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import nn

from benchmark.step_cost import TimedStep, count_flops
from benchmark.step_variants import default_variant
from evaluation.tables import format_grid
from training.builders import build_loss, build_network, build_runtime
from training.consistency import ConsistencyStep
from training.pseudo_batches import ConfidentLoss, settle
from utils.cli import add_config_arguments, create_parser, positive_int
from utils.config import Config
from utils.config_loader import load_config
from utils.contracts import Batch

_HEADS = ("procedure", "slices", "ms", "steps/s", "x time", "GFLOP/GFLOP")
_SUPERVISED = "supervised"


def main(line: Sequence[str]) -> None:
    """The arguments after python -m benchmark procedures."""
    parser = create_parser(
        "Time the training step of every procedure in turn, round by round: supervised,\n"
        "self_training on pseudo labels, mean_teacher and fixmatch with as many unlabelled slices\n"
        "as semi_supervised.batch_size beside training.batch_size labelled ones. No loading.",
        "python -m benchmark procedures --experiment semi/fixmatch --rounds 10",
    )
    parser.prog = "python -m benchmark procedures"
    add_config_arguments(parser)
    parser.add_argument("--rounds", type=positive_int, default=5, metavar="N", help="default: 5")
    arguments = parser.parse_args(line)
    pairs = ["training.ema_decay=0.99", *arguments.overrides]
    config = load_config(arguments.config, arguments.experiment, pairs)
    network = build_network(config)
    loss = build_loss(config, network)
    runtime = build_runtime(config)
    variant = default_variant(config, runtime)
    steps = _steps(partial(TimedStep, config, variant=variant), config, loss)
    for step in steps.values():
        step.run()
        step.run()
    seconds = {name: [] for name in steps}
    for _ in range(arguments.rounds):
        for name, step in steps.items():
            seconds[name].append(step.run())
    print(f"{config.model.name}, {config.data.image_size} px, {runtime.precision}")
    print(format_grid([_HEADS, *(_row(name, steps, seconds) for name in steps)]))


def _steps(
    create: Callable[..., TimedStep], config: Config, loss: nn.Module
) -> dict[str, TimedStep]:
    """A step of each kind, by its name, with its batch."""
    steps = {_SUPERVISED: create(loss), "self_training": create(ConfidentLoss(loss))}
    pseudo = steps["self_training"]
    half = _marked(pseudo.batch, len(pseudo.batch["name"]) // 2)
    pseudo.batch = settle(half, config.semi_supervised, config.data.edge_width)
    for name, is_hard in (("mean_teacher", False), ("fixmatch", True)):
        step = steps[name] = create(loss)
        step.step = ConsistencyStep(
            step.state,
            loss,
            step.runtime,
            settings=config.semi_supervised,
            is_hard=is_hard,
            position=lambda: 1.0,
        )
        more = create(loss).batch
        step.batch = _marked(_joined(step.batch, more), len(more["name"]))
    return steps


def _joined(one: Batch, two: Batch) -> Batch:
    return {k: torch.cat([v, two[k]]) if torch.is_tensor(v) else v + two[k] for k, v in one.items()}


def _marked(batch: Batch, number: int) -> Batch:
    """The batch with its last slices unlabelled."""
    total = len(batch["name"])
    is_unlabelled = torch.arange(total) >= total - number
    return batch | {"is_unlabelled": is_unlabelled, "draw": torch.arange(total)}


def _row(name: str, steps: dict[str, TimedStep], seconds: dict[str, list[float]]) -> list[str]:
    """Median time, and the median over the rounds of the ratio to supervised."""
    own, first = seconds[name], seconds[_SUPERVISED]
    ratio = median(a / b for a, b in zip(own, first, strict=True))
    flops = [count_flops(steps[key].run) for key in (name, _SUPERVISED)]
    numbers: list[Any] = [len(steps[name].batch["name"]), f"{1000 * median(own):,.0f}"]
    numbers += [f"{1 / median(own):.2f}", f"{ratio:.2f}", f"{flops[0] / flops[1]:.2f}"]
    return [name, *map(str, numbers)]
