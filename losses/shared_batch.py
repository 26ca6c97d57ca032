"""A training batch that several processes share."""

import torch
import torch.distributed as dist
from torch import Tensor


def sum_over_processes(values: Tensor) -> Tensor:
    """Sums over the processes of a job; the values themselves in a process alone.

    DistributedDataParallel takes the mean of the processes' gradients. The gradient that flows
    back from here is therefore multiplied by their number, so that the mean is the gradient of
    the whole batch's loss: that of one process with all the slices.

    Args:
        values: Sums over this process's share of the batch, equal in shape in all processes.
    """
    if not dist.is_initialized():
        return values
    total = values.detach().clone()
    dist.all_reduce(total)
    share = values * dist.get_world_size()
    return total + (share - share.detach())


def batch_mean(values: Tensor, *, shared: bool) -> Tensor:
    """Mean over the slices of a batch, also of one that several processes share.

    Args:
        values: (B,), one per slice of this process's share, which may be empty.
        shared: The batch is spread over the processes of a job.
    """
    if not shared:
        return values.mean()
    total, count = sum_over_processes(
        torch.stack([values.sum(), values.new_tensor(float(len(values)))])
    )
    return total / count.detach()
