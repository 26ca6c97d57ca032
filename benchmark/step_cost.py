"""What a training step costs: seconds and floating-point operations; and what could be had."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models.parts.paper_order import run_in_paper_order
from training.builders import build_network, build_training_state
from training.distributed import World
from training.engine import train_one_epoch
from training.epoch_record import EpochRecord
from training.random_state import seed_everything
from training.runtime import Runtime
from training.step import TrainingStep
from utils.config import Config
from utils.contracts import noise_batch
from utils.progress import Progress

# Sides of the square matrices whose product gives the machine's rate; a GPU takes larger ones.
MATMUL_SIZE = {"cpu": 2048, "cuda": 8192}
# What a step raises that this machine or its compiler cannot take.
MACHINE_ERRORS = (RuntimeError, MemoryError)
_MAX_WARM_UP_STEPS = 30  # fp16 halves its loss scale from 65536, a step each, until one counts


class Variant(NamedTuple):
    """One way to compute the training step; see models/parts/paper_order.py for paper_order."""

    runtime: Runtime
    paper_order: bool = False
    compile: bool = False
    activation_checkpointing: bool = False

    @property
    def name(self) -> str:
        """Such as: bf16 channels_last, compiled."""
        runtime = self.runtime
        parts = [
            f"{runtime.precision} {'channels_last' if runtime.channels_last else 'contiguous'}"
        ]
        parts += ["plain"] * (not runtime.keep_memory)
        parts += ["paper's order"] * self.paper_order
        parts += ["checkpointing"] * self.activation_checkpointing
        parts += ["compiled"] * self.compile
        return ", ".join(parts)


class TimedStep:
    """A network, its optimizer and one batch of noise, trained by the project's own loop.

    Args:
        config: Network, optimizer, seed, sizes.
        loss: Named terms with their total.
        variant: Device, precision, memory format, order of operations, compilation.
    """

    def __init__(self, config: Config, loss: nn.Module, variant: Variant) -> None:
        seed_everything(config.training.seed)
        self.runtime = variant.runtime
        config = _of_variant(config, variant)
        network = build_network(config)
        if variant.paper_order:
            run_in_paper_order(network)
        self.state = build_training_state(config, network, loss, self.runtime, World())
        self.step = TrainingStep(
            self.state,
            loss,
            self.runtime,
            num_parts=config.training.accumulation_steps,
            gradient_clip=config.training.gradient_clip,
        )
        self.batch = noise_batch(config.training.batch_size, *config.data.image_size)

    def run(self) -> float:
        """Train on the batch once: the epoch function of train.py, with an epoch of one batch.

        Returns:
            Seconds. The loop ends by reading its loss terms, which waits for a GPU to finish.
        """
        self.runtime.set_allocator()  # the variants of a benchmark take turns
        start = time.perf_counter()
        train_one_epoch(self.step, [self.batch], EpochRecord())
        return time.perf_counter() - start

    def warm_up(self) -> None:
        """Train until the weights have moved, and once more with Adam's moments at hand."""
        for _ in range(_MAX_WARM_UP_STEPS):
            self.run()
            if self.state.optimizer.state:
                break
        self.run()

    @torch.no_grad()
    def forward(self) -> None:
        """The forward pass alone."""
        batch = self.runtime.move(self.batch)
        with self.runtime.autocast():
            self.state.model(batch["image"])


def _of_variant(config: Config, variant: Variant) -> Config:
    """The configuration with what the variant says of training."""
    changes = {
        "precision": variant.runtime.precision,  # fp16 scales its loss
        "compile": variant.compile,
        "activation_checkpointing": variant.activation_checkpointing,
    }
    return config.model_copy(update={"training": config.training.model_copy(update=changes)})


def count_flops(run: Callable[[], object]) -> int:
    """Floating-point operations of the convolutions and matrix products in a call.

    A multiply-add counts as 2. Resizing, normalisation, activations, losses and the optimizer
    count as 0, by torch's own convention.
    """
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


class Timings:
    """Steps of several variants, timed in turns, so that other work hits all alike.

    A variant that fails on this machine ends with a note and leaves the others alone.

    Args:
        config: Network, optimizer, seed, sizes.
        loss: Named terms with their total.
        variants: The first is the plain step, which the others are compared with.
        notes: Variants that are known not to work here, and why.

    Attributes:
        steps: Those that work.
        notes: Why the others could not be measured.
    """

    def __init__(
        self,
        config: Config,
        loss: nn.Module,
        variants: Sequence[Variant],
        notes: Mapping[Variant, str],
    ) -> None:
        self.batch_size = config.training.batch_size
        self.notes = dict(notes)
        self.steps: dict[Variant, TimedStep] = {}
        self._plain = variants[0]
        self._gflop: dict[Variant, tuple[float, float]] = {}
        self._seconds: dict[Variant, list[float]] = {variant: [] for variant in variants}
        for variant in variants:
            if variant in self.notes:
                continue
            with self._noting(variant):
                self._gflop[variant] = self._count(config, loss, variant)
                self.steps[variant] = TimedStep(config, loss, variant)
                self.steps[variant].warm_up()

    def run(self, num_rounds: int) -> None:
        """Time the step of every variant in each round."""
        for _ in Progress(range(num_rounds), "rounds"):
            for variant, step in list(self.steps.items()):  # one that fails is taken out
                with self._noting(variant):
                    self._seconds[variant].append(step.run())

    def row(self, variant: Variant) -> dict[str, Any]:
        """Times, rates and counts of a variant; its note alone, where there is one."""
        if variant in self.notes:
            return {"note": self.notes[variant]}
        seconds, plain = self._seconds[variant], self._seconds[self._plain]
        gflop_forward, gflop_step = self._gflop[variant]
        ratio = None
        if self._plain not in self.notes:
            ratio = median(own / other for own, other in zip(seconds, plain, strict=True))
        return {
            "milliseconds_median": 1e3 * median(seconds),
            "milliseconds_min": 1e3 * min(seconds),
            "images_per_second": self.batch_size / median(seconds),
            "time_ratio_to_plain": ratio,
            "gflop_forward_per_image": gflop_forward,
            "gflop_per_step": gflop_step,
            "gflop_per_second": gflop_step / median(seconds),
        }

    def _count(self, config: Config, loss: nn.Module, variant: Variant) -> tuple[float, float]:
        """GFLOP per image forward, and per step; a compiled network computes what it was."""
        step = TimedStep(config, loss, variant._replace(compile=False))
        return count_flops(step.forward) / self.batch_size / 1e9, count_flops(step.run) / 1e9

    @contextmanager
    def _noting(self, variant: Variant) -> Iterator[None]:
        try:
            yield
        except MACHINE_ERRORS as error:
            self.notes[variant] = describe_failure(error)
            self.steps.pop(variant, None)


def describe_failure(error: Exception) -> str:
    """Why a variant could not be measured, in a few words."""
    text = str(error).strip()
    is_memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
    if is_memory or "can't allocate memory" in text:
        return "out of memory"
    return text.splitlines()[0] if text else type(error).__name__


def measure_matmul_rate(device: torch.device, dtype: torch.dtype, num_tries: int = 5) -> float:
    """GFLOP/s of a square matrix product, the best of several tries.

    float32 on a GPU is rounded as cuDNN's convolutions round it: to TF32, where PyTorch lets them.
    """
    size, is_cuda = MATMUL_SIZE[device.type], device.type == "cuda"
    matrix = torch.rand(size, size, device=device).to(dtype)
    former = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    seconds = []
    for _ in range(1 + num_tries):
        start = time.perf_counter()
        torch.mm(matrix, matrix)
        if is_cuda:
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    torch.backends.cuda.matmul.allow_tf32 = former
    return 2 * size**3 / min(seconds[1:]) / 1e9
