"""The ways to compute the training step that the benchmark compares."""

import importlib.util
import os
import shutil
from typing import NamedTuple

import torch
from torch import nn

from models.parts.paper_order import run_in_paper_order
from training.runtime import Runtime
from utils.config import Config


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


def default_variant(config: Config, runtime: Runtime) -> Variant:
    """The step as train.py makes it with this configuration."""
    training = config.training
    return Variant(
        runtime,
        compile=training.compile,
        activation_checkpointing=training.activation_checkpointing,
    )


def choose_variants(
    config: Config, runtime: Runtime, network: nn.Module, with_compile: bool
) -> tuple[Variant, list[Variant]]:
    """The step as it is configured, and all that it is compared with, itself among them.

    Where torch.compile is wanted and cannot work, says why and leaves it out.

    Args:
        config: The resolved configuration.
        runtime: Device, precision and memory format as configured.
        network: As list_variants.
        with_compile: Whether torch.compile gets its rows.
    """
    obstacle = missing_compiler(runtime.device)
    if with_compile and obstacle:
        print(f"no rows of torch.compile: {obstacle}")
    with_compile = with_compile and not obstacle
    default = default_variant(config, runtime)
    default = default._replace(compile=default.compile and with_compile)
    return default, list_variants(default, network, with_compile)


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
    if any(shutil.which(name) for name in names):
        return None
    return f"there is no C++ compiler ({' or '.join(names)}) on the PATH"
