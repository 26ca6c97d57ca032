"""What a training step spends its time on, as torch.profiler sees it."""

import os
from collections.abc import Callable
from pathlib import Path

from torch import nn
from torch.profiler import ProfilerActivity, profile, schedule, tensorboard_trace_handler

from benchmark.step_cost import TimedStep, warm_step
from benchmark.step_variants import Variant
from utils.config import Config

_NUM_TRACED_STEPS = 3
_NUM_OPERATORS = 10
# Each calls others, whose time is in its own; aten::conv2d around them may cast its weights first.
CONVOLUTIONS = ("aten::convolution", "aten::convolution_backward")


def percent_in_convolutions(step: TimedStep, seconds: float) -> float:
    """Share of a step's time that its convolutions take, forward and backward, in per cent.

    Args:
        step: Warmed up.
        seconds: A step's time without the profiler. On a GPU the kernels' time is compared with
            it; on a CPU, where the profiler slows the operators themselves, with their own step's.
    """
    is_cuda = step.runtime.device.type == "cuda"
    recorded, recorded_seconds = _record(step, 1)
    convolutions = [entry for entry in recorded.key_averages() if entry.key in CONVOLUTIONS]
    micros = sum(e.device_time_total if is_cuda else e.cpu_time_total for e in convolutions)
    return 1e-4 * micros / (seconds if is_cuda else recorded_seconds)


def write_trace(config: Config, loss: nn.Module, variant: Variant, folder: Path) -> str:
    """Trace a few steps for TensorBoard's profiler plugin, Perfetto and chrome://tracing.

    Args:
        config: Network, optimizer, seed, sizes.
        loss: Named terms with their total.
        variant: The step.
        folder: Gets one JSON file; made where it does not exist.

    Returns:
        The dearest operators, where the trace lies, and how to look at it, for a terminal.
    """
    step = warm_step(config, loss, variant)
    former = set(folder.glob("*.json"))
    recorded, _ = _record(step, _NUM_TRACED_STEPS, tensorboard_trace_handler(str(folder)))
    (path,) = set(folder.glob("*.json")) - former
    kind = "device" if step.runtime.device.type == "cuda" else "cpu"
    operators = recorded.key_averages().table(f"self_{kind}_time_total", _NUM_OPERATORS)
    return (
        f"{operators}\n"
        f"trace        {path}, {_NUM_TRACED_STEPS} steps after the warm-up\n"
        "             open it at https://ui.perfetto.dev or in chrome://tracing, or\n"
        f"             pip install torch-tb-profiler; tensorboard --logdir {folder}"
    )


def _record(
    step: TimedStep, num_steps: int, on_trace_ready: Callable[[profile], None] | None = None
) -> tuple[profile, float]:
    """Profile some steps after one that only warms up the profiler.

    Returns:
        The profile, and the seconds of the last step.
    """
    # A torch built for CUDA otherwise complains on stderr where there is no GPU.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    activities = [ProfilerActivity.CPU]
    if step.runtime.device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(
        activities=activities,
        schedule=schedule(wait=0, warmup=1, active=num_steps, repeat=1),
        on_trace_ready=on_trace_ready,
        record_shapes=on_trace_ready is not None,
        acc_events=True,
    ) as recorded:
        for _ in range(1 + num_steps):
            seconds = step.run()
            recorded.step()
    return recorded, seconds
