"""Recomputed activations: the same numbers, with less kept."""

import copy

import pytest
import torch
from torch import nn

from models import MODELS
from tests.models.small_networks import build, fitting, own_loss, slices
from tests.training.small_steps import make_step
from training.activation_checkpointing import checkpoint_activations, frozen_statistics
from utils.contracts import Batch
from utils.errors import UserError


class Kept:
    """Counts the elements that autograd keeps for the backward pass."""

    def __init__(self) -> None:
        self.num_elements = 0

    def pack(self, tensor: torch.Tensor) -> torch.Tensor:
        self.num_elements += tensor.numel()
        return tensor


QUICK = ("attention_unet", "resunet", "unet", "unetplusplus")  # the others are not small enough
SEGMENTED = [name for name, network in MODELS.items() if network.segments]  # a property, or ()


def step_twice(model: nn.Module, batch: Batch) -> int:
    """Two training steps under the own loss; how many elements the first one kept."""
    step = make_step(model, own_loss(model))
    step.train()
    kept = Kept()
    torch.manual_seed(1)  # of dropout
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor):
        step._forward(batch)
    for _ in range(2):
        step(batch)
    return kept.num_elements


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in SEGMENTED]
)
def test_checkpointed_steps_are_the_same_and_keep_less(name: str) -> None:
    plain = build(name)
    side = fitting(plain, 64)
    batch = slices(4, side, side)
    recomputed = copy.deepcopy(plain)
    checkpoint_activations(recomputed)
    assert plain.state_dict().keys() == recomputed.state_dict().keys()
    assert step_twice(recomputed, batch) < 0.7 * step_twice(plain, batch)
    for key, value in plain.state_dict().items():
        assert torch.equal(value, recomputed.state_dict()[key]), key


def test_a_network_without_segments_is_refused() -> None:
    with pytest.raises(UserError, match=r"training\.activation_checkpointing"):
        checkpoint_activations(nn.Conv2d(1, 1, 3))


def test_frozen_statistics_normalise_by_the_batch_and_track_nothing() -> None:
    norm = nn.BatchNorm2d(2)
    image = 5 + torch.randn(4, 2, 8, 8)
    with frozen_statistics(norm):
        assert norm(image).mean().abs() < 1e-5
    assert norm.num_batches_tracked == 0
    assert torch.equal(norm.running_mean, torch.zeros(2))
    norm(image)
    assert norm.num_batches_tracked == 1
