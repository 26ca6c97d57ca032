"""How long a plan will take: a training step of each kind of run, measured here."""

import math
from collections.abc import Sequence
from pathlib import Path

from benchmark.step_cost import warm_step
from benchmark.step_variants import default_variant
from datasets.pairing import find_slices
from sweeps.plan import Run
from sweeps.record import fingerprint_settings
from training.builders import build_loss, build_network, build_runtime
from training.distributed import World
from utils.config import Config
from utils.progress import Progress

_VALIDATION_SHARE = 1 / 3  # of a step's time per slice: the forward pass alone


def measure_seconds(runs: Sequence[Run]) -> list[float]:
    """Seconds that each run takes at most, by one measured step of its network.

    Starting, reading and scoring come on top; early stopping is not counted on.

    Args:
        runs: Whose data folders are there.
    """
    of_settings: dict[str, float] = {}
    seconds = []
    for run in Progress(runs, "measuring a step of each row"):
        training = run.config.training.model_copy(update={"seed": 0})
        config = run.config.model_copy(update={"training": training})
        key = f"{fingerprint_settings(config)} {config.data.root}"
        if key not in of_settings:
            of_settings[key] = _measure(config)
        seconds.append(of_settings[key])
    return seconds


def _measure(config: Config) -> float:
    """Steps of a run times the seconds of one, with the forward passes of validation."""
    runtime = build_runtime(config)
    loss = build_loss(config, build_network(config), World())
    step = warm_step(config, loss, default_variant(config, runtime))
    seconds = step.run()
    num_train, num_val = (
        len(find_slices(Path(config.data.root), split, config.data.lung))
        for split in ("train", "val")
    )
    batch = config.training.batch_size
    passes = math.ceil(num_train / batch) + _VALIDATION_SHARE * num_val / batch
    return seconds * passes * config.training.epochs * len(config.training.scales)
