"""Which variants of the training step are worth a row on a device."""

import importlib.util
import os
import shutil
import sys

import torch
from torch import nn

from models.paper_order import run_in_paper_order
from utils.benchmark.step_cost import Variant
from utils.config import Config
from utils.runtime import Runtime


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
