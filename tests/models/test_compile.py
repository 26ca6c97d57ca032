"""Networks that torch.compile translates compute what the plain ones do."""

import copy

import pytest
import torch
from small_networks import build, fitting, oblong, settle, slices
from torch import Tensor, nn

from benchmark.step_variants import missing_compiler
from models import list_models

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(missing_compiler(torch.device("cpu")) is not None, reason="no compiler"),
]


@pytest.fixture(params=list_models())
def network(request: pytest.FixtureRequest) -> nn.Module:
    network = build(request.param)
    return settle(network, slices(4, *oblong(network))["image"])


def distance(found: Tensor, wanted: Tensor) -> float:
    """As a share of the wanted values' length."""
    return ((found - wanted).norm() / wanted.norm()).item()


def train(network: nn.Module, image: Tensor) -> tuple[Tensor, Tensor]:
    """All logits, and the gradients of a random weighing of them."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.cat([maps.flatten() for maps in network.train()(image).logits()])
    (logits * torch.randn(logits.shape, generator=generator).to(logits)).sum().backward()
    return logits.detach(), torch.cat([p.grad.flatten() for p in network.parameters()])


def test_a_training_step_gives_the_same_logits_and_gradients(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0  # the compiler draws other numbers
    # In float64: batch norms over a few values each magnify the rounding of float32 without limit.
    # The compiler takes the weights of a resize in float32 all the same.
    network.double()
    side = fitting(network, 64)
    image = slices(2, side, side)["image"].double()
    compiled = torch.compile(copy.deepcopy(network), fullgraph=True)
    (logits, gradients), (own_logits, own_gradients) = train(compiled, image), train(network, image)
    assert distance(logits, own_logits) < 1e-6
    assert distance(gradients, own_gradients) < 1e-5


def test_a_prediction_gives_the_same_logits(network: nn.Module) -> None:
    image = slices(2, *oblong(network))["image"]
    with torch.no_grad():
        wanted = network.eval()(image).logits()
        found = torch.compile(network, fullgraph=True)(image).logits()
    for one, other in zip(found, wanted, strict=True):
        scale = max(1.0, other.abs().max().item())
        torch.testing.assert_close(one / scale, other / scale, rtol=0, atol=1e-4)
