"""What a training step spends its time on, as torch.profiler sees it."""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, schedule, tensorboard_trace_handler

from benchmark.step_cost import TimedStep, Variant
from utils.config import Config

_NUM_TRACED_STEPS = 3
_NUM_OPERATORS = 10
# aten::convolution, aten::convolution_backward and what they call; aten::conv2d around them may
# cast its weights first.
_CONVOLUTION = re.compile(r"^\w+::\w*convolution\w*$")


def percent_in_convolutions(step: TimedStep, seconds: float) -> float:
    """Share of a step's time that its convolutions take, forward and backward, in per cent.

    Args:
        step: Warmed up.
        seconds: A step's time without the profiler. On a GPU the kernels' time is compared with
            it; on a CPU, where the profiler slows the operators themselves, with their own step's.
    """
    is_cuda = step.runtime.device.type == "cuda"
    recorded, recorded_seconds = _record(step, 1)
    convolutions = outermost_convolutions(recorded.events())
    micros = sum(e.device_time_total if is_cuda else e.cpu_time_total for e in convolutions)
    return 1e-4 * micros / (seconds if is_cuda else recorded_seconds)


def outermost_convolutions(events: Iterable[FunctionEvent]) -> list[FunctionEvent]:
    """The convolutions among a profile's events that no other convolution called."""
    return [e for e in events if _CONVOLUTION.match(e.name) and not _is_in_convolution(e)]


def _is_in_convolution(event: FunctionEvent) -> bool:
    parent = event.cpu_parent
    while parent is not None and not _CONVOLUTION.match(parent.name):
        parent = parent.cpu_parent
    return parent is not None


def write_trace(config: Config, loss: nn.Module, variant: Variant, folder: Path) -> str:
    """Trace a few steps for TensorBoard's profiler plugin, Perfetto and chrome://tracing.

    Args:
        config: Network, optimizer, seed, sizes.
        loss: Named terms with their total.
        variant: The step.
        folder: Gets one JSON file; made where it does not exist.

    Returns:
        Where the trace lies, how to look at it, and the dearest operators, for a terminal.
    """
    step = TimedStep(config, loss, variant)
    step.warm_up()
    former = set(folder.glob("*.json"))
    recorded, _ = _record(step, _NUM_TRACED_STEPS, tensorboard_trace_handler(str(folder)))
    (path,) = set(folder.glob("*.json")) - former
    return (
        f"{_operator_table(recorded, variant.runtime.device)}\n"
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


def _operator_table(recorded: profile, device: torch.device) -> str:
    """The operators that take most time themselves, without those that they call."""
    key = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    entries = [entry for entry in recorded.key_averages() if _is_operator(entry)]
    total = sum(getattr(entry, key) for entry in entries)
    entries.sort(key=lambda entry: -getattr(entry, key))
    lines = [f"{'operator, its own time':<40}{'ms/step':>12}{'%':>8}{'calls/step':>12}"]
    for entry in entries[:_NUM_OPERATORS]:
        micros = getattr(entry, key)
        lines.append(
            f"{entry.key:<40}{micros / 1e3 / _NUM_TRACED_STEPS:>12.2f}{100 * micros / total:>8.1f}"
            f"{entry.count / _NUM_TRACED_STEPS:>12.0f}"
        )
    return "\n".join(lines)


def _is_operator(entry: Any) -> bool:
    """Whether an entry is work of a step, and neither a step itself nor a kernel on its own."""
    is_on_cpu = entry.device_type == torch.autograd.DeviceType.CPU
    return is_on_cpu and not entry.key.startswith("ProfilerStep")
