import math

import pytest
import torch

from losses.scrn import SCRNLoss
from utils.contracts import SegOutput


def logit(prob: list) -> torch.Tensor:
    return torch.logit(torch.tensor(prob, dtype=torch.float64))


def test_value_of_a_hand_worked_case() -> None:
    # mask: p = .8 .4, t = 1 0: (-ln .8 - ln .6) / 2; edge: p = .5 .1, t = 1 1: (-ln .5 - ln .1) / 2
    output = SegOutput(logit([[[[0.8, 0.4]]]]), edge=(logit([[[[0.5, 0.1]]]]),))
    batch = {"mask": torch.tensor([[[[1.0, 0.0]]]]), "edge": torch.ones(1, 1, 1, 2)}
    terms = SCRNLoss()(output, batch)
    assert list(terms) == ["mask", "edge", "total"]
    mask, edge = -math.log(0.8 * 0.6) / 2, -math.log(0.5 * 0.1) / 2
    assert [t.item() for t in terms.values()] == pytest.approx([mask, edge, mask + edge])


def test_false_positives_on_an_empty_target_are_pushed_down() -> None:
    logits = [torch.zeros(2, 1, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    empty = torch.zeros(2, 1, 3, 4)
    loss = SCRNLoss()(SegOutput(logits[0], edge=(logits[1],)), {"mask": empty, "edge": empty})
    # BCE of p = .5 is ln 2 each, its gradient p / 24 on each of 24 pixels.
    assert loss["total"].item() == pytest.approx(2 * math.log(2))
    for gradient in torch.autograd.grad(loss["total"], logits):
        torch.testing.assert_close(gradient, torch.full_like(gradient, 0.5 / 24))


def test_gradient() -> None:
    torch.manual_seed(0)
    logits = [torch.randn(2, 1, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    batch = {name: (torch.rand(2, 1, 3, 4) > 0.5).double() for name in ("mask", "edge")}
    assert torch.autograd.gradcheck(
        lambda mask, edge: SCRNLoss()(SegOutput(mask, edge=(edge,)), batch)["total"], logits
    )


def test_required_heads() -> None:
    assert SCRNLoss().required_heads == {"mask", "edge"}
