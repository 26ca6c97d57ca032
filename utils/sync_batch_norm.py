"""Batch statistics over all processes of a job, on GPUs and on CPUs."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


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
