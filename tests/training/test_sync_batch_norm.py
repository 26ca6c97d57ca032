"""Batch norm over two processes is batch norm over the whole batch."""

import pytest
import torch
from torch import nn

from tests.training.process_pair import ProcessPair
from training.distributed import synchronise_batch_norm

_SHARES = ((0, 3), (3, 4))  # of four slices; shares may differ


def whole_batch() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 100 + 3 * torch.randn(4, 2, 5, 6, generator=generator, dtype=torch.float64)


def normalise(norm: nn.Module, images: torch.Tensor, start: int) -> dict[str, torch.Tensor]:
    """Output and gradients of a loss that weighs every pixel differently."""
    images = images.clone().requires_grad_()
    output = norm(images)
    weights = torch.arange(output.numel(), dtype=torch.float64).view_as(output) + 60 * start
    (output * weights.sin()).sum().backward()
    return {
        "output": output.detach(),
        "image": images.grad,
        "weight": norm.weight.grad,
        "bias": norm.bias.grad,
        "mean": norm.running_mean,
        "variance": norm.running_var,
    }


def normalise_share(rank: int) -> dict[str, torch.Tensor]:
    start, end = _SHARES[rank]
    norm = synchronise_batch_norm(nn.Sequential(nn.BatchNorm2d(2)), use_cuda=False)[0].double()
    return normalise(norm, whole_batch()[start:end], start)


def test_two_processes_normalise_as_one(process_pair: ProcessPair) -> None:
    expected = normalise(nn.BatchNorm2d(2).double(), whole_batch(), 0)
    shares = process_pair.run(normalise_share)
    joined = {k: torch.cat([share[k] for share in shares]) for k in ("output", "image")}
    joined |= {k: shares[0][k] + shares[1][k] for k in ("weight", "bias")}
    joined |= {k: shares[1][k] for k in ("mean", "variance")}
    for key, value in expected.items():
        torch.testing.assert_close(joined[key], value, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("is_training", [True, False])
def test_alone_it_is_an_ordinary_batch_norm(is_training: bool) -> None:
    plain = nn.BatchNorm2d(2).double().train(is_training)
    synchronised = synchronise_batch_norm(nn.Sequential(nn.BatchNorm2d(2)), use_cuda=False)
    synchronised.double().train(is_training)
    assert torch.equal(synchronised(whole_batch()), plain(whole_batch()))
    assert synchronised.state_dict().keys() == nn.Sequential(plain).state_dict().keys()
