"""Where and how tensors are computed: device, precision, memory format, determinism."""

import ctypes
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from utils.contracts import Batch
from utils.errors import UserError

_DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
# Parameters of mallopt and their defaults, from glibc's malloc.h and manual.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_DEFAULT_TRIM_BYTES, _DEFAULT_NUM_MMAPS = 128 * 1024, 65536
_NEVER_TRIM = 2**31 - 1
_SAFE_CHANNELS = 8  # of a strided 1 x 1 convolution


@dataclass(frozen=True)
class Runtime:
    """Moves networks and batches to a device in its fastest layout, and sets the autocast.

    Attributes:
        device: Where the network lives.
        autocast_dtype: bfloat16 or float16, or None for float32 throughout.
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
        """fp32, bf16 or fp16."""
        return _NAMES[self.autocast_dtype]

    def prepare(self, model: nn.Module) -> nn.Module:
        """The network on the device, in the memory format; the allocator set for its steps."""
        self.set_allocator()
        if self.device.type == "cpu" and self.channels_last:
            _pick_pixels_first(model)
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


def _pick_pixels_first(model: nn.Module) -> None:
    """Take the pixels that a narrow 1 x 1 convolution with stride looks at before it runs.

    The result is the same. oneDNN writes beyond its memory in the gradient of such a convolution
    of less than 8 channels in channels_last on CPUs with AVX2 alone (torch 2.14.1): the process
    dies, or worse.
    """
    for layer in model.modules():
        if not isinstance(layer, nn.Conv2d) or layer.in_channels >= _SAFE_CHANNELS:
            continue
        if layer.kernel_size == (1, 1) and layer.stride != (1, 1) and layer.padding == (0, 0):
            layer.register_forward_pre_hook(partial(_every, layer.stride))
            layer.stride = (1, 1)


def _every(
    stride: tuple[int, int], _layer: nn.Module, inputs: tuple[torch.Tensor]
) -> tuple[torch.Tensor]:
    return (inputs[0][..., :: stride[0], :: stride[1]],)


def create_runtime(device: str, precision: str, channels_last: bool) -> Runtime:
    """Choose device and precision; 'auto' takes the fastest that is safe.

    Automatic precision is bf16 on a GPU with bf16 arithmetic (Ampere or newer; the loss and the
    reductions stay float32) and fp32 elsewhere: whether bf16 gains anything on a CPU depends on the
    model of the CPU (python -m benchmark tells).

    Args:
        device: auto, cpu or cuda.
        precision: auto, fp32, bf16 or fp16.
        channels_last: Memory format.

    Raises:
        UserError: cuda is asked for and there is none.
    """
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise UserError("training.device: PyTorch sees no CUDA GPU here; set it to auto or cpu")
    use_cuda = device == "cuda" or (device == "auto" and has_cuda)
    if precision == "auto":
        precision = "bf16" if use_cuda and torch.cuda.is_bf16_supported(False) else "fp32"
    return Runtime(torch.device("cuda" if use_cuda else "cpu"), _DTYPES[precision], channels_last)


def set_determinism(is_deterministic: bool) -> None:
    """Choose algorithms that give the same numbers twice, or the fastest ones.

    On a CPU two runs with equal settings, threads and packages are then equal bit for bit. On a GPU
    an operation without a deterministic algorithm runs all the same, with a warning that names
    it; another GPU, driver or cuDNN gives other rounding in any case.
    """
    if is_deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    if is_deterministic != torch.are_deterministic_algorithms_enabled():
        # Only then: the call imports torch's compiler, a second.
        torch.use_deterministic_algorithms(is_deterministic, warn_only=True)
    torch.backends.cudnn.benchmark = not is_deterministic


def keep_freed_memory(keep: bool) -> None:
    """Let a process keep memory that it freed, or hand it back at once, as is the default.

    A training step frees every activation and wants it again a second later. By default glibc
    returns large blocks to the kernel, which clears each page anew: some 100,000 page faults and
    a tenth of the time of a step at the paper's size. Kept memory counts as the process's own
    until it ends, up to its peak. Does nothing where the C library is not glibc.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return
    mallopt(_M_MMAP_MAX, 0 if keep else _DEFAULT_NUM_MMAPS)
    mallopt(_M_TRIM_THRESHOLD, _NEVER_TRIM if keep else _DEFAULT_TRIM_BYTES)


def return_freed_memory() -> None:
    """Give the system what was freed so far, between two stages that need different arrays.

    Where small blocks are still in use above them, glibc keeps freed ones for as long as the
    process runs: a tenth of the memory of a scan's prediction. Milliseconds. Does nothing where
    the C library is not glibc.
    """
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function of the C library; None where it has none of that name."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
