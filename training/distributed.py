"""The processes of a training job, started by torchrun: calls between them, one batch norm."""

import gc
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any, TypeVar

import torch
import torch.distributed as dist

# Before there is a group: its functions hold that of their import as a default, to the end of
# Python, and torch._dynamo would import them from within the job.
import torch.distributed.nn.functional
from torch import Tensor, nn

from utils.errors import UserError

T = TypeVar("T")
# Longer than any pause between two steps (a cache that is built, pictures that are drawn).
_TIMEOUT = timedelta(minutes=30)


@dataclass(frozen=True)
class World:
    """This process among those of the job; one process alone is a world of size 1.

    The collective calls must be made by every process in the same order. They carry plain values
    through the CPU (gloo), also where the network's gradients travel between GPUs (nccl).

    Attributes:
        rank: Number of this process, from 0; rank 0 alone writes files.
        size: Number of processes.
        local_rank: Number of this process on its machine, which is its GPU's.
        job: Name of the job, which stays the same when torchrun starts its processes again; None
            without torchrun.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    job: str | None = None

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files and speaks to the user."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait for every process."""
        if self.size > 1:
            dist.barrier()

    def sum(self, values: Sequence[float]) -> list[float]:
        """Each value summed over the processes, in float64."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total)
        return total.tolist()

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return bool(self.sum([float(flag)])[0]) if self.size > 1 else flag

    def gather(self, value: Any) -> list[Any]:
        """Every process's value, by rank, on every process; plain values and tensors."""
        if self.size == 1:
            return [value]
        packed: list[Any] = [None] * self.size
        dist.all_gather_object(packed, _pack(value))
        return [_unpack(value) for value in packed]

    def from_main(self, make: Callable[[], T]) -> T:
        """What the function gives in the main process; plain values and tensors."""
        if self.size == 1:
            return make()
        packed = [_pack(make()) if self.is_main else None]
        dist.broadcast_object_list(packed)
        return _unpack(packed[0])

    def share_buffers(self, module: nn.Module) -> None:
        """Give every process the main one's running statistics."""
        if self.size > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, 0)

    @contextmanager
    def first_on_machine(self) -> Iterator[None]:
        """Let the first process of each machine through the block before the others."""
        if self.local_rank != 0:
            self.barrier()
        yield
        if self.local_rank == 0:
            self.barrier()


def join_world(use_cuda: bool) -> World:
    """Find the other processes of a job that torchrun started; alone without torchrun.

    Args:
        use_cuda: Whether the networks live on GPUs: gradients then travel by nccl, else by gloo.

    Raises:
        UserError: More processes than GPUs.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    restarts = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    job = _job()
    if size == 1:
        return World(job=job)
    local_rank = int(os.environ["LOCAL_RANK"])
    if use_cuda:
        if local_rank >= torch.cuda.device_count():
            raise UserError(
                f"torchrun --nproc_per_node: more processes than the {torch.cuda.device_count()} "
                "GPUs of this machine; start one per GPU, or set training.device=cpu"
            )
        torch.cuda.set_device(local_rank)
    store, rank, size = next(dist.rendezvous("env://", timeout=_TIMEOUT))
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if use_cuda else "gloo",
        # torchrun's store outlives a restart: an address from before would lead to a dead process.
        store=dist.PrefixStore(f"start{restarts}", store),
        rank=rank,
        world_size=size,
        timeout=_TIMEOUT,
    )
    return World(rank, size, local_rank, job)


def _job() -> str | None:
    """The --rdzv_id of torchrun, where one is given; else the torchrun process itself."""
    run_id = os.environ.get("TORCHELASTIC_RUN_ID")
    return f"{socket.gethostname()} {os.getppid()}" if run_id == "none" else run_id


def leave_world() -> None:
    """Part from the other processes, where there are any.

    The threads of gloo end with the last reference to the group. One that lives on and lets go of
    a tensor while Python shuts down aborts the process ("terminate called without an active
    exception"), so that no reference cycle may hold DistributedDataParallel, which holds the group.
    """
    if dist.is_initialized():
        gc.collect()
        dist.destroy_process_group()


def _pack(value: Any) -> bytes:
    """Plain values and tensors as a checkpoint's bytes."""
    stream = BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def _unpack(packed: bytes) -> Any:
    """What was packed; on the CPU."""
    return torch.load(BytesIO(packed), map_location="cpu", weights_only=True)


def synchronise_batch_norm(network: nn.Module, use_cuda: bool) -> nn.Module:
    """The network with batch norms that see the whole batch; names and weights stay.

    torch.nn.SyncBatchNorm works on GPUs only, so that processes on a CPU get GlooBatchNorm2d.
    """
    if use_cuda:
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = GlooBatchNorm2d  # the same state: nothing to copy
    return network


class GlooBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose training statistics run over the slices of every process.

    Mean, then variance around it, in float32: two collective calls forward, two backward.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Normalise (B, C, H, W); B may differ between the processes."""
        if not (self.training and dist.is_initialized()):
            return super().forward(features)
        with torch.autocast(features.device.type, enabled=False):
            values = features.to(torch.promote_types(features.dtype, torch.float32))
            dims, shape = (0, 2, 3), (1, -1, 1, 1)
            count = _sum_over_processes(values.new_tensor([values.numel() / values.shape[1]]))
            mean = _sum_over_processes(values.sum(dims)) / count
            centred = values - mean.view(shape)
            variance = _sum_over_processes((centred**2).sum(dims)) / count
            self._track(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
            scale = torch.rsqrt(variance + self.eps) * self.weight
            return (centred * scale.view(shape) + self.bias.view(shape)).to(features.dtype)

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics, the variance unbiased as in torch."""
        if self.running_mean is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


class _SumOverProcesses(torch.autograd.Function):
    """all_reduce, whose gradient is the sum of the processes' gradients."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _sum_over_processes(values: Tensor) -> Tensor:
    return _SumOverProcesses.apply(values)
