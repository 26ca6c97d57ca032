"""A few training steps in a fresh process: peak memory, and the time that compilation takes."""

import importlib.util
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import torch
from torch import nn

from benchmark.step_cost import MACHINE_ERRORS, TimedStep, Variant, describe_failure
from models.parts.paper_order import run_in_paper_order
from training.runtime import Runtime, set_determinism
from training.tensorboard import peak_memory_mib
from utils.config import Config

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


def default_variant(config: Config, runtime: Runtime) -> Variant:
    """The step as train.py makes it with this configuration."""
    training = config.training
    return Variant(
        runtime,
        compile=training.compile,
        activation_checkpointing=training.activation_checkpointing,
    )


def list_variants(default: Variant, network: nn.Module, with_compile: bool) -> list[Variant]:
    """The plain step first, then faster ones on the same device, and the default in any case.

    Args:
        default: The step as it is configured.
        network: A throwaway one, to see which variants it has; its order of operations is changed.
        with_compile: Whether torch.compile gets its rows.
    """
    device = default.runtime.device
    plain = Runtime(device, None, False, keep_memory=False)
    fp32, bf16, fp16 = (
        Variant(Runtime(device, dtype, True)) for dtype in (None, torch.bfloat16, torch.float16)
    )
    variants = [Variant(plain)]
    if run_in_paper_order(network):
        variants.append(Variant(plain, paper_order=True))
    variants += [fp32, bf16]
    if device.type == "cuda":
        variants.append(fp16)
    if with_compile:
        variants += [fp32._replace(compile=True), bf16._replace(compile=True)]
    variants.append(default)
    if getattr(network, "segments", None):
        variants.append(default._replace(activation_checkpointing=True))
    return list(dict.fromkeys(variants))


def missing_compiler(device: torch.device) -> str | None:
    """What torch.compile lacks here, in words; None where it can work."""
    if device.type == "cuda":
        return None if importlib.util.find_spec("triton") else "there is no package triton"
    names = [os.environ["CXX"]] if "CXX" in os.environ else ["g++", "clang++"]
    if sys.platform == "win32":
        names = names if "CXX" in os.environ else ["cl"]
    if any(shutil.which(name) for name in names):
        return None
    return f"there is no C++ compiler ({' or '.join(names)}) on the PATH"
