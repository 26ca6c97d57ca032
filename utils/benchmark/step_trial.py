"""A few training steps in a fresh process: peak memory, and the time that compilation takes."""

import logging
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import torch
from torch import nn

from utils.benchmark.step_cost import MACHINE_ERRORS, TimedStep, Variant, describe_failure
from utils.config import Config
from utils.logbook import peak_memory_mib
from utils.runtime import set_determinism

_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


@contextmanager
def empty_compile_cache() -> Iterator[None]:
    """Let torch.compile start from nothing here and in processes started here, as a user's would.

    What a trial compiles is found again by the timings.
    """
    former = os.environ.get(_CACHE_VARIABLE)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ[_CACHE_VARIABLE] = folder
        try:
            yield
        finally:
            if former is None:
                del os.environ[_CACHE_VARIABLE]
            else:
                os.environ[_CACHE_VARIABLE] = former


def try_variant(
    config: Config, loss: nn.Module, variant: Variant, num_threads: int
) -> dict[str, Any]:
    """Train a few steps in a fresh process.

    On Linux a process inherits its parent's peak, so call this before the parent grows beyond one
    bare network.

    Returns:
        peak_memory_mib, of the tensors on a GPU, of the whole process on a CPU; with
        first_step_seconds for a compiled variant. Or a note, why there is nothing to measure.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_train, config, loss, variant, num_threads).result()
        except BrokenProcessPool:
            return {"note": "its process was killed, probably for want of memory"}


def _train(config: Config, loss: nn.Module, variant: Variant, num_threads: int) -> dict[str, Any]:
    """Train in this process."""
    torch.set_num_threads(num_threads)
    set_determinism(config.training.deterministic)
    quieten_compiler()
    try:
        step = TimedStep(config, loss, variant)
        seconds = step.run()
        step.warm_up()  # Adam's moments first stand beside activations in the step after its first
    except MACHINE_ERRORS as error:
        return {"note": describe_failure(error)}
    found = {"peak_memory_mib": round(peak_memory_mib(variant.runtime.device))}
    return found | ({"first_step_seconds": seconds} if variant.compile else {})


def quieten_compiler() -> None:
    """Leave out torch's warning of a CUDA that a compilation for the CPU does not need."""
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
