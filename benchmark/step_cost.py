"""A training step to be timed and counted, and its peak memory in a process of its own."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.failures import noting_failure
from benchmark.step_variants import Variant
from datasets.noise import noise_batch
from models.parts.paper_order import run_in_paper_order
from training.builders import build_network, build_training_state
from training.classes import count_channels
from training.distributed import World
from training.engine import train_one_epoch
from training.epoch_record import EpochRecord
from training.random_state import seed_everything
from training.runtime import set_determinism
from training.step import TrainingStep
from training.tensorboard import peak_memory_mib
from utils.config import Config

_MAX_WARM_UP_STEPS = 30  # fp16 halves its loss scale from 65536, a step each, until one counts


class TimedStep:
    """A network, its optimizer and one batch of noise, trained by the project's own loop.

    Args:
        config: Network, optimizer, seed, sizes.
        loss: Named terms with their total.
        variant: Device, precision, memory format, order of operations, compilation.
    """

    def __init__(self, config: Config, loss: nn.Module, variant: Variant) -> None:
        if variant.compile:  # it warns of a CUDA that is not needed on a CPU
            logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
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
        self.batch = noise_batch(
            *(config.training.batch_size, *config.data.image_size),
            num_classes=count_channels(config.data),
        )

    def run(self) -> float:
        """Train on the batch once: the epoch function of train.py, with an epoch of one batch.

        Returns:
            Seconds. The loop ends by reading its loss terms, which waits for a GPU to finish.
        """
        self.runtime.set_allocator()  # the variants of a benchmark take turns
        start = time.perf_counter()
        train_one_epoch(self.step, [self.batch], EpochRecord())
        return time.perf_counter() - start


def _of_variant(config: Config, variant: Variant) -> Config:
    """The configuration with what the variant says of training."""
    changes = {
        "precision": variant.runtime.precision,  # fp16 scales its loss
        "compile": variant.compile,
        "activation_checkpointing": variant.activation_checkpointing,
    }
    return config.model_copy(update={"training": config.training.model_copy(update=changes)})


def warm_step(config: Config, loss: nn.Module, variant: Variant) -> TimedStep:
    """A step after its first ones.

    It has trained until the weights moved, and once more: Adam's moments first stand beside
    activations in the step after that.
    """
    step = TimedStep(config, loss, variant)
    for _ in range(_MAX_WARM_UP_STEPS):
        step.run()
        if step.state.optimizer.state:
            break
    step.run()
    return step


def count_flops(run: Callable[[], object]) -> int:
    """Floating-point operations of the convolutions and matrix products in a call.

    A multiply-add counts as 2. Resizing, normalisation, activations, losses and the optimizer
    count as 0, by torch's own convention.
    """
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def try_variant(config: Config, loss: nn.Module, variant: Variant) -> dict[str, Any]:
    """Train a few steps in a fresh process.

    On Linux a process inherits its parent's peak, so call this before the parent grows beyond one
    bare network.

    Returns:
        As measure_peak.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(measure_peak, config, loss, variant).result()
        except BrokenProcessPool:
            return {"note": "its process was killed, probably for want of memory"}


def measure_peak(config: Config, loss: nn.Module, variant: Variant) -> dict[str, Any]:
    """Train a few steps in this process.

    Returns:
        peak_memory_mib, of the tensors on a GPU, of the whole process on a CPU; or a note, why
        there is nothing to measure.
    """
    set_determinism(config.training.deterministic)
    found: dict[str, Any] = {}
    with noting_failure(found):
        warm_step(config, loss, variant)
        found["peak_memory_mib"] = round(peak_memory_mib(variant.runtime.device))
    return found
