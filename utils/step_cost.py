"""What a training step costs: seconds, floating-point operations, memory; and what could be had."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from statistics import median
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models.paper_order import run_in_paper_order
from utils.builders import build_network
from utils.config import Config
from utils.contracts import Batch
from utils.engine import train_one_epoch
from utils.errors import UserError
from utils.logbook import peak_memory_mib
from utils.progress import Progress
from utils.runtime import Runtime, seed_everything
from utils.training_state import create_training_state

# Sides of the square matrices whose product gives the machine's rate; a GPU takes larger ones.
MATMUL_SIZE = {"cpu": 2048, "cuda": 8192}
_LESION_FRACTION = 0.1  # of the random targets; the cost does not depend on it


class Variant(NamedTuple):
    """One way to compute the training step; paper_order is explained in models/paper_order.py."""

    runtime: Runtime
    paper_order: bool = False


class TrainingStep:
    """A network, its optimizer and one synthetic batch, trained by the project's own loop.

    Args:
        config: Network, optimizer, seed, sizes.
        loss: Named terms with their total.
        variant: Device, precision, memory format, order of operations.
    """

    def __init__(self, config: Config, loss: nn.Module, variant: Variant) -> None:
        seed_everything(config.training.seed)
        self.loss, self.runtime = loss, variant.runtime
        self.gradient_clip = config.training.gradient_clip
        self.model = variant.runtime.prepare(build_network(config))
        if variant.paper_order:
            run_in_paper_order(self.model)
        self.optimizer = create_training_state(config, self.model).optimizer
        self.batch = create_batch(config.training.batch_size, *config.data.image_size)

    def run(self) -> float:
        """Train on the batch once: the epoch function of train.py, with an epoch of one batch.

        Returns:
            Seconds. The loop ends by reading its loss terms, which waits for a GPU to finish.
        """
        self.runtime.set_allocator()  # the variants of a benchmark take turns
        start = time.perf_counter()
        train_one_epoch(
            self.model, self.loss, [self.batch], self.optimizer, self.runtime, self.gradient_clip
        )
        return time.perf_counter() - start

    @torch.no_grad()
    def forward(self) -> None:
        """The forward pass alone."""
        batch = self.runtime.move(self.batch)
        with self.runtime.autocast():
            self.model(batch["image"])


def create_batch(batch_size: int, height: int, width: int) -> Batch:
    """Noise as a collated batch of slices, drawn from torch's generator."""
    shape = (batch_size, 1, height, width)
    return {
        "image": torch.randn(shape),
        "mask": (torch.rand(shape) < _LESION_FRACTION).float(),
        "edge": (torch.rand(shape) < _LESION_FRACTION).float(),
        "lung": torch.zeros(shape),
        "has_lung": torch.zeros(batch_size, dtype=torch.bool),
        "name": [f"noise_{index}" for index in range(batch_size)],
        "patient": ["noise"] * batch_size,
    }


def count_flops(run: Callable[[], object]) -> int:
    """Floating-point operations of the convolutions and matrix products in a call.

    A multiply-add counts as 2. Resizing, normalisation, activations, losses and the optimizer
    count as 0, by torch's own convention.
    """
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def measure_variants(
    config: Config, loss: nn.Module, variants: Sequence[Variant], num_rounds: int
) -> list[dict[str, float]]:
    """Time the step of every variant and count its operations.

    The variants take turns within a round, so that the machine's other work hits all alike.

    Args:
        config: Network, optimizer, seed, sizes.
        loss: Named terms with their total.
        variants: The first is the plain step, which the others are compared with.
        num_rounds: Timed rounds, after one of warm-up.

    Returns:
        Times, rates and counts of each variant.
    """
    steps = [TrainingStep(config, loss, variant) for variant in variants]
    gflop_forward = [count_flops(s.forward) / config.training.batch_size / 1e9 for s in steps]
    gflop_step = [count_flops(step.run) / 1e9 for step in steps]
    for step in steps:
        step.run()
    rounds = [[step.run() for step in steps] for _ in Progress(range(num_rounds), "rounds")]
    rows = []
    for index in range(len(steps)):
        seconds = [timed[index] for timed in rounds]
        rows.append(
            {
                "milliseconds_median": 1e3 * median(seconds),
                "milliseconds_min": 1e3 * min(seconds),
                "images_per_second": config.training.batch_size / median(seconds),
                "time_ratio_to_plain": median(timed[index] / timed[0] for timed in rounds),
                "gflop_forward_per_image": gflop_forward[index],
                "gflop_per_step": gflop_step[index],
                "gflop_per_second": gflop_step[index] / median(seconds),
            }
        )
    return rows


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


def measure_peak_memory(
    config: Config, loss: nn.Module, variant: Variant, num_threads: int
) -> float:
    """Peak memory in MiB of a fresh process that trains two steps.

    Two, because Adam's moments first stand beside activations in the second. On Linux a process
    inherits its parent's peak, so call this before the parent grows beyond one bare network.

    Returns:
        Of the tensors on a GPU, of the whole process on a CPU.

    Raises:
        UserError: Memory ran out, or the process was killed.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_train_two_steps, config, loss, variant, num_threads).result()
        except (BrokenProcessPool, torch.OutOfMemoryError) as error:
            raise UserError(
                "a training step ran out of memory, or its process was killed; lower --batch-size "
                "or --image-size"
            ) from error


def _train_two_steps(config: Config, loss: nn.Module, variant: Variant, num_threads: int) -> float:
    """Peak memory in MiB of this process after two steps."""
    torch.set_num_threads(num_threads)
    step = TrainingStep(config, loss, variant)
    step.run()
    step.run()
    return peak_memory_mib(variant.runtime.device)
