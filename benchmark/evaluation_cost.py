"""How fast slices are scored by training.engine.evaluate."""

import time
from dataclasses import replace
from statistics import median
from typing import Any

import torch
from torch import nn

from benchmark.failures import noting_failure
from benchmark.step_variants import Variant
from datasets.noise import noise_batch
from metrics import Meter
from training.builders import build_network
from training.classes import count_channels
from training.engine import evaluate
from training.random_state import seed_everything
from training.runtime import Runtime
from utils.config import Config
from utils.progress import Progress

_DTYPES = (None, torch.bfloat16)


def measure_evaluation(
    config: Config, loss: nn.Module, default: Runtime, num_rounds: int
) -> list[dict[str, Any]]:
    """Slices per second in fp32 and bf16, and in the default where it is another.

    Args:
        config: Network, seed, sizes, how predictions are scored.
        loss: Named terms with their total.
        default: Gives device and memory format.
        num_rounds: Timed rounds, after one of warm-up.
    """
    rows = []
    for dtype in dict.fromkeys([*_DTYPES, default.autocast_dtype]):
        runtime = replace(default, autocast_dtype=dtype)
        rows.append({"variant": Variant(runtime).name, "is_default": runtime == default})
        with noting_failure(rows[-1]):
            seconds = _time(config, loss, runtime, num_rounds)
            rows[-1]["milliseconds_median"] = 1e3 * seconds
            rows[-1]["images_per_second"] = config.evaluation.batch_size / seconds
    return rows


def _time(config: Config, loss: nn.Module, runtime: Runtime, num_rounds: int) -> float:
    """Seconds in which a batch of noise is scored, the median over the rounds."""
    seed_everything(config.training.seed)
    model = runtime.prepare(build_network(config))
    settings = config.evaluation
    channels = count_channels(config.data)
    batch = noise_batch(settings.batch_size, *config.data.image_size, num_classes=channels)
    seconds = []
    for _ in Progress(range(1 + num_rounds), "evaluation rounds"):
        meter = Meter(empty_target=settings.empty_target, threshold=settings.threshold)
        start = time.perf_counter()
        evaluate(model, [batch], runtime, meter, loss)
        seconds.append(time.perf_counter() - start)
    return median(seconds[1:])
