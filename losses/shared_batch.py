"""A training batch that several processes share."""

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
