"""Where and how tensors are computed: device, precision, memory format, random numbers."""

import random
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from utils.allocator import keep_freed_memory
from utils.contracts import Batch
from utils.errors import UserError


@dataclass(frozen=True)
class Runtime:
    """Moves networks and batches to a device in its fastest layout, and sets the autocast.

    Attributes:
        device: Where the network lives.
        autocast_dtype: bfloat16, or None for float32 throughout.
        channels_last: Memory format of network and images.
        keep_memory: Whether a process on a CPU keeps freed memory for its next step.
    """

    device: torch.device
    autocast_dtype: torch.dtype | None
    channels_last: bool
    keep_memory: bool = True

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    @property
    def precision(self) -> str:
        """fp32 or bf16."""
        return "bf16" if self.autocast_dtype else "fp32"

    def prepare(self, model: nn.Module) -> nn.Module:
        """The network on the device, in the memory format; the allocator set for its steps."""
        self.set_allocator()
        return model.to(device=self.device, memory_format=self.memory_format)

    def set_allocator(self) -> None:
        """Tell the C library how to treat freed memory; a GPU has an allocator of its own."""
        if self.device.type == "cpu":
            keep_freed_memory(self.keep_memory)

    def move(self, batch: Batch) -> Batch:
        """The batch on the device; names stay as they are."""
        moved = {
            key: value.to(self.device, non_blocking=True)
            if isinstance(value, torch.Tensor)
            else value
            for key, value in batch.items()
        }
        moved["image"] = moved["image"].contiguous(memory_format=self.memory_format)
        return moved

    def autocast(self) -> AbstractContextManager[None]:
        """The autocast region of a forward pass."""
        return torch.autocast(
            self.device.type, dtype=self.autocast_dtype, enabled=self.autocast_dtype is not None
        )


def create_runtime(device: str, precision: str, channels_last: bool) -> Runtime:
    """Choose device and precision; 'auto' takes the fastest that is safe.

    Automatic precision is bf16 on a GPU with bf16 arithmetic (Ampere or newer; the loss and the
    reductions stay float32) and fp32 elsewhere: bf16 on a CPU gains nothing without matrix
    instructions for it.

    Args:
        device: auto, cpu or cuda.
        precision: auto, fp32 or bf16.
        channels_last: Memory format.

    Raises:
        UserError: cuda is asked for and there is none.
    """
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise UserError("training.device: PyTorch sees no CUDA GPU here; set it to auto or cpu")
    use_cuda = device == "cuda" or (device == "auto" and has_cuda)
    use_bf16 = precision == "bf16" or (
        precision == "auto" and use_cuda and torch.cuda.is_bf16_supported(False)
    )
    return Runtime(
        torch.device("cuda" if use_cuda else "cpu"),
        torch.bfloat16 if use_bf16 else None,
        channels_last,
    )


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
