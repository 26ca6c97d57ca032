"""Activations that are computed again in the backward pass instead of kept."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from utils.errors import UserError


def checkpoint_activations(network: nn.Module) -> None:
    """Let the network's segments keep their inputs alone; the backward pass runs them again.

    Values, gradients and running statistics stay as they are: batch norms do not track the second
    run. Names in the state_dict stay, too.

    Raises:
        UserError: The network names no segments.
    """
    segments = getattr(network, "segments", None)
    if not segments:
        raise UserError("training.activation_checkpointing: this network names no segments for it")
    for segment in segments:
        segment.forward = partial(_run_segment, segment, segment.forward)


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Keep running statistics as they are while batch norms normalise by the batch."""
    norms = [m for m in module.modules() if getattr(m, "track_running_stats", False)]
    former = [(norm, norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        # Not track_running_stats: a second run must save as many tensors as the first.
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, momentum, num_batches_tracked in former:
            norm.momentum, norm.num_batches_tracked = momentum, num_batches_tracked


def _run_segment(segment: nn.Module, forward: Any, *inputs: Any) -> Any:
    """The segment's own forward pass, checkpointed where there is a backward pass to come."""
    if not segment.training:
        return forward(*inputs)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), frozen_statistics(segment)

    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts)
