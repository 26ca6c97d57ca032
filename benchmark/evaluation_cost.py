"""How fast slices are scored: training.engine.evaluate, and where its time goes."""

import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import torch
from torch import nn

from benchmark.step_cost import MACHINE_ERRORS, Variant, describe_failure
from metrics import Meter
from training.builders import build_network
from training.engine import evaluate
from training.random_state import seed_everything
from training.runtime import Runtime
from utils.config import Config
from utils.contracts import noise_batch
from utils.progress import Progress

_DTYPES = (None, torch.bfloat16)


class _Stopwatch:
    """Adds up the time between start and stop; both wait for a GPU."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._start, self.seconds = device, 0.0, 0.0

    def start(self, *_: object) -> None:
        self._start = self._now()

    def stop(self, *_: object) -> None:
        self.seconds += self._now() - self._start

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


class _TimedMeter(Meter):
    """A meter whose updates are timed."""

    def __init__(self, watch: _Stopwatch, **settings: Any) -> None:
        super().__init__(**settings)
        self._watch = watch

    def update(self, *case: Any) -> None:
        self._watch.start()
        super().update(*case)
        self._watch.stop()


class TimedEvaluation:
    """A network and one batch of noise, scored by the project's own loop with loss and meter.

    Args:
        config: Network, seed, sizes, how predictions are scored.
        loss: Named terms with their total.
        runtime: Device, precision, memory format.
    """

    def __init__(self, config: Config, loss: nn.Module, runtime: Runtime) -> None:
        seed_everything(config.training.seed)
        self.evaluation, self.loss, self.runtime = config.evaluation, loss, runtime
        self.model = runtime.prepare(build_network(config))
        self.network_watch = _Stopwatch(runtime.device)
        self.model.register_forward_pre_hook(self.network_watch.start)
        self.model.register_forward_hook(self.network_watch.stop)
        self.batch = noise_batch(self.evaluation.batch_size, *config.data.image_size)

    def run(self) -> tuple[float, float, float]:
        """Score the batch once.

        Returns:
            Seconds; of these in the network; of these in the meter's metrics.
        """
        self.runtime.set_allocator()
        self.network_watch.seconds = 0.0
        meter_watch = _Stopwatch(self.runtime.device)
        meter = _TimedMeter(
            meter_watch,
            empty_target=self.evaluation.empty_target,
            threshold=self.evaluation.threshold,
        )
        start = time.perf_counter()
        evaluate(self.model, [self.batch], self.runtime, meter, self.loss)
        return time.perf_counter() - start, self.network_watch.seconds, meter_watch.seconds


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
    dtypes = dict.fromkeys([*_DTYPES, default.autocast_dtype])
    runtimes = [replace(default, autocast_dtype=dtype) for dtype in dtypes]
    return [
        {"variant": Variant(runtime).name, "is_default": runtime == default}
        | _measure(config, loss, runtime, num_rounds)
        for runtime in runtimes
    ]


def _measure(config: Config, loss: nn.Module, runtime: Runtime, num_rounds: int) -> dict[str, Any]:
    """Speed and shares of one precision, or a note why there are none."""
    try:
        timed = TimedEvaluation(config, loss, runtime)
        timed.run()
        rounds = [timed.run() for _ in Progress(range(num_rounds), "evaluation rounds")]
    except MACHINE_ERRORS as error:
        return {"note": describe_failure(error)}
    return _summarise(rounds, config.evaluation.batch_size)


def _summarise(rounds: Sequence[tuple[float, float, float]], batch_size: int) -> dict[str, Any]:
    """Medians over the rounds."""
    seconds, network, meter = zip(*rounds, strict=True)
    shares = [
        100 * median(part / whole for part, whole in zip(parts, seconds, strict=True))
        for parts in (network, meter)
    ]
    return {
        "milliseconds_median": 1e3 * median(seconds),
        "milliseconds_min": 1e3 * min(seconds),
        "images_per_second": batch_size / median(seconds),
        "percent_in_network": shares[0],
        "percent_in_metrics": shares[1],
    }
