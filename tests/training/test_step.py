"""The parts of a step, alone; several processes are in test_distributed.py."""

import copy

import pytest
import torch
from torch import nn

from models import create_model
from tests.training.small_steps import SmallNetwork, disc_batch, make_step
from training.runtime import create_runtime
from training.step import drop_padding, split_batch
from utils.contracts import SegOutput


def step_once(model: nn.Module, num_parts: int, batch: dict) -> tuple[dict, list[torch.Tensor]]:
    """Loss terms and the weights after one step of plain descent with a fixed draw."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    step = make_step(model, optimizer=optimizer, num_parts=num_parts)
    step.train()
    torch.manual_seed(3)
    terms = step(batch).terms
    return {name: value.item() for name, value in terms.items()}, list(model.parameters())


@pytest.mark.parametrize(("num_parts", "count"), [(2, 4), (3, 5), (5, 5), (9, 4)])
def test_accumulated_parts_make_the_step_of_the_whole_batch(num_parts: int, count: int) -> None:
    torch.manual_seed(0)
    model = SmallNetwork().double()
    batch = disc_batch(count=count)
    batch = {k: v.double() if k in ("image", "mask", "edge") else v for k, v in batch.items()}
    whole, expected = step_once(copy.deepcopy(model), 1, batch)
    parts, weights = step_once(model, num_parts, batch)
    assert parts == pytest.approx(whole, rel=1e-12)
    for one, other in zip(expected, weights, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_the_mean_of_the_parts_losses_would_be_another_step() -> None:
    """Dice over the batch is not the mean of Dice over its parts: what the second run is for."""
    model = SmallNetwork(dropout=0).double()
    batch = disc_batch(count=4)
    batch = {k: v.double() if k in ("image", "mask", "edge") else v for k, v in batch.items()}
    step = make_step(model)
    whole = step.loss(model(batch["image"]), batch)["total"]
    parts = [step.loss(model(p["image"]), p)["total"] for p in split_batch(batch, 2)]
    assert abs(whole - sum(parts) / 2).item() > 1e-4


def test_batch_norm_tracks_every_part_once() -> None:
    torch.manual_seed(0)
    model = create_model("resunet", width=4, depth=18)
    norm = model.encoder.stem[1]
    expected_mean = norm.running_mean.clone()
    with torch.no_grad():
        for part in split_batch(disc_batch(), 2):
            mean = model.encoder.stem[0](part["image"]).mean((0, 2, 3))
            expected_mean.lerp_(mean, norm.momentum)
    step = make_step(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.0), num_parts=2)
    step.train()
    step(disc_batch())
    assert norm.num_batches_tracked == 2
    torch.testing.assert_close(norm.running_mean, expected_mean)


def test_a_loss_scale_that_overflows_is_lowered_and_the_step_left_out() -> None:
    torch.manual_seed(0)
    runtime = create_runtime("cpu", "fp16", channels_last=True)
    model = SmallNetwork()
    step = make_step(model, runtime=runtime)
    step.state.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    step.train()
    before = [p.detach().clone() for p in model.parameters()]
    step(disc_batch())
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert step.state.scaler.get_scale() == 2.0**39
    for _ in range(40):
        step(disc_batch())
    assert step.state.scaler.get_scale() < 2.0**39
    assert not any(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_padding_leaves_output_and_batch() -> None:
    batch = disc_batch(count=3)
    batch["is_padding"][1] = True
    output = SegOutput(mask=batch["mask"], edge=(batch["edge"],))
    output, rest = drop_padding(output, batch)
    assert rest["name"] == ["slice0", "slice2"]
    assert torch.equal(output.mask, batch["mask"][[0, 2]])
    assert torch.equal(output.edge[0], batch["edge"][[0, 2]])


def test_the_loss_of_an_empty_share_has_a_gradient_of_zero() -> None:
    torch.manual_seed(0)
    model = SmallNetwork()
    batch = disc_batch(count=1)
    batch["is_padding"][0] = True
    output, rest = drop_padding(model(batch["image"]), batch)
    total = make_step(model).loss(output, rest)["total"]
    total.backward()
    assert torch.isfinite(total)
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())
