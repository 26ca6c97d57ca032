"""Recomputed activations: the same numbers, with less kept."""

import copy

import pytest
import torch
from torch import nn

from models import create_model, list_models
from tests.utils.small_steps import disc_batch, make_step
from utils.errors import UserError
from utils.recompute import checkpoint_activations, frozen_statistics


class Kept:
    """Counts the elements that autograd keeps for the backward pass."""

    def __init__(self) -> None:
        self.num_elements = 0

    def pack(self, tensor: torch.Tensor) -> torch.Tensor:
        self.num_elements += tensor.numel()
        return tensor


def step_twice(model: nn.Module) -> int:
    """Two training steps; how many elements the first one kept."""
    step = make_step(model)
    step.train()
    kept = Kept()
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor):
        step._forward(disc_batch())
    for _ in range(2):
        step(disc_batch())
    return kept.num_elements


@pytest.mark.parametrize("name", list_models())
def test_checkpointed_steps_are_the_same_and_keep_less(name: str) -> None:
    torch.manual_seed(0)
    plain = create_model(name, width=4)
    recomputed = copy.deepcopy(plain)
    checkpoint_activations(recomputed)
    assert plain.state_dict().keys() == recomputed.state_dict().keys()
    assert step_twice(recomputed) < 0.5 * step_twice(plain)
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
