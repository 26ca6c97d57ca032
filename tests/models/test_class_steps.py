"""Every network trains on several classes."""

import pytest
import torch
from small_networks import SMALL, fitting, slices

from losses import LOSSES, create_loss
from models import create_model, list_models
from tests.training.small_steps import make_step
from utils.contracts import Batch

NUM_CLASSES = 3
LARGE = ("acfnet", "fcn8s")  # seconds, however small they are made


def with_classes(batch: Batch) -> Batch:
    """The lesion's left half is of class 1, its right half of class 2."""
    is_right = torch.arange(batch["mask"].shape[-1]) >= batch["mask"].shape[-1] // 2
    return {**batch, "label": (batch["mask"][:, 0] * (1 + is_right)).long()}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in list_models()],
)
def test_every_network_makes_a_step_on_classes(name: str) -> None:
    torch.manual_seed(0)
    network = create_model(name, num_classes=NUM_CLASSES, **SMALL.get(name, {}))
    takes_classes = getattr(LOSSES[network.own_loss], "takes_classes", False)
    args = network.own_loss_args if takes_classes else {}
    loss = create_loss(network.own_loss if takes_classes else "dice", **args)
    side = fitting(network, 32)
    batch = with_classes(slices(2, side, side))
    step = make_step(network, loss)
    step.train()
    before = {key: p.detach().clone() for key, p in network.named_parameters()}
    result = step(batch)
    assert result.output.mask.shape == (2, NUM_CLASSES, side, side)
    assert torch.isfinite(result.terms["total"])
    moved = {key for key, p in network.named_parameters() if not torch.equal(p, before[key])}
    trained = {key for key, p in network.named_parameters() if p.grad is not None}
    assert moved
    if takes_classes:
        assert trained == before.keys(), before.keys() - trained
