"""The rows of the training step: each variant's time, memory and rate, beside the plain one's."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.utils.benchmark import Timer

from benchmark.failures import MACHINE_ERRORS, noting_failure
from benchmark.step_cost import TimedStep, count_flops, try_variant, warm_step
from benchmark.step_profile import percent_in_convolutions
from benchmark.step_variants import Variant
from training.runtime import Runtime
from utils.config import Config
from utils.errors import UserError
from utils.progress import Progress

# Sides of the square matrices whose product gives the machine's rate; a GPU takes larger ones.
MATMUL_SIZE = {"cpu": 2048, "cuda": 8192}

Row = dict[str, Any]


def try_variants(
    config: Config, loss: nn.Module, variants: Sequence[Variant]
) -> dict[Variant, Row]:
    """Train a few steps of every variant, each in a process of its own.

    Returns:
        Of each variant what step_cost.measure_peak gives.
    """
    print(
        f"peak memory of {len(variants)} variants, each in a fresh process; the timings follow: "
        "minutes at full size, more with torch.compile",
        flush=True,
    )
    return {v: try_variant(config, loss, v) for v in Progress(variants, "peak memory")}


def measure_steps(
    config: Config,
    loss: nn.Module,
    default: Variant,
    trials: Mapping[Variant, Row],
    num_rounds: int,
) -> list[Row]:
    """A row per variant: time, memory, rate; or a note, why it could not be measured.

    Args:
        config: Network, optimizer, seed, sizes.
        loss: Named terms with their total.
        default: The step as it is configured, whose convolutions are timed, too.
        trials: Of try_variants; the first is the plain step, which the others are compared with.
        num_rounds: Timed steps of each variant, after the warm-up.

    Raises:
        UserError: Not one variant could be trained.
    """
    plain = next(iter(trials))
    if all("note" in trial for trial in trials.values()):
        raise UserError(
            f"not one variant of the step could be trained on the {plain.runtime.device.type} "
            f"({trials[plain]['note']}); lower training.batch_size or data.image_size"
        )
    rows = {
        variant: {"variant": variant.name, "is_default": variant == default, **trial}
        for variant, trial in trials.items()
    }
    steps = _prepare(config, loss, rows)
    seconds = _time_in_turns(steps, rows, num_rounds)
    runtimes = {variant.runtime.precision: variant.runtime for variant in seconds}
    rates = {name: measure_matmul_rate(runtime) for name, runtime in runtimes.items()}
    for variant, own in seconds.items():
        row, rate = rows[variant], rates[variant.runtime.precision]
        row |= _costs(own, seconds.get(plain), config.training.batch_size)
        row["matmul_gflop_per_second"] = rate
        row["percent_of_matmul_rate"] = 100 * row["gflop_per_step"] / (median(own) * rate)
    if default in seconds:
        with suppress(*MACHINE_ERRORS):  # the profiler may leave no memory
            share = percent_in_convolutions(steps[default], median(seconds[default]))
            rows[default]["percent_in_convolutions"] = share
    return list(rows.values())


def _prepare(
    config: Config, loss: nn.Module, rows: Mapping[Variant, Row]
) -> dict[Variant, TimedStep]:
    """The steps that work, warm; their arithmetic goes into their rows."""
    steps = {}
    for variant, row in rows.items():
        if "note" not in row:
            with noting_failure(row):
                # The counter does not see into a compiled step, which computes what it was.
                eager = variant._replace(compile=False)
                row["gflop_per_step"] = count_flops(TimedStep(config, loss, eager).run) / 1e9
                steps[variant] = warm_step(config, loss, variant)
    return steps


def _time_in_turns(
    steps: Mapping[Variant, TimedStep], rows: Mapping[Variant, Row], num_rounds: int
) -> dict[Variant, list[float]]:
    """Seconds of every variant in each round, so that other work on the machine hits all alike.

    Returns:
        Of the variants that went through all rounds; the others get a note in their row.
    """
    seconds: dict[Variant, list[float]] = {variant: [] for variant in steps}
    for _ in Progress(range(num_rounds), "rounds"):
        for variant in list(seconds):
            with noting_failure(rows[variant]):
                seconds[variant].append(steps[variant].run())
            if "note" in rows[variant]:
                del seconds[variant]
    return seconds


def _costs(seconds: Sequence[float], plain: Sequence[float] | None, batch_size: int) -> Row:
    """Times of a variant; the ratio is that of the same rounds, where the plain one has them."""
    ratio = None
    if plain:
        ratio = median(own / other for own, other in zip(seconds, plain, strict=True))
    return {
        "milliseconds_median": 1e3 * median(seconds),
        "images_per_second": batch_size / median(seconds),
        "time_ratio_to_plain": ratio,
    }


def measure_matmul_rate(runtime: Runtime) -> float:
    """GFLOP/s of a large square matrix product in a runtime's precision, the best of some tries.

    float32 on a GPU is rounded as cuDNN's convolutions round it: to TF32, where PyTorch lets them.
    """
    size = MATMUL_SIZE[runtime.device.type]
    matrix = torch.rand(size, size, device=runtime.device)
    matrix = matrix.to(runtime.autocast_dtype or torch.float32)
    former = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    timer = Timer(
        "matrix @ matrix", globals={"matrix": matrix}, num_threads=torch.get_num_threads()
    )
    seconds = min(timer.blocked_autorange(min_run_time=0.5).times)
    torch.backends.cuda.matmul.allow_tf32 = former
    return 2 * size**3 / seconds / 1e9
