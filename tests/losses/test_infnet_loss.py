import math

import pytest
import torch

from losses.cross_entropy import bce_loss
from losses.infnet import InfNetLoss
from losses.structure import structure_loss
from utils.contracts import SegOutput


@pytest.fixture
def case() -> tuple[SegOutput, dict]:
    torch.manual_seed(0)
    logits = [torch.randn(2, 1, 5, 6, dtype=torch.float64, requires_grad=True) for _ in range(5)]
    batch = {name: (torch.rand(2, 1, 5, 6) > 0.7).double() for name in ("mask", "edge")}
    return SegOutput(logits[0], edge=(logits[1],), semantic=tuple(logits[2:])), batch


def test_total_is_equation_5(case: tuple[SegOutput, dict]) -> None:
    output, batch = case
    terms = InfNetLoss()(output, batch)
    assert list(terms) == ["edge", "semantic", "mask", "total"]
    edge = bce_loss(output.edge[0], batch["edge"])
    maps = [structure_loss(side, batch["mask"]) for side in (*output.semantic, output.mask)]
    torch.testing.assert_close(terms["edge"], edge)
    torch.testing.assert_close(terms["semantic"], sum(maps[:3]))
    torch.testing.assert_close(terms["mask"], maps[3])
    torch.testing.assert_close(terms["total"], edge + sum(maps))


def test_value_of_a_hand_worked_empty_target() -> None:
    # p = .5 on one pixel without lesion: BCE = ln 2; structure ln 2 + 1 - 1 / 1.5 = ln 2 + 1 / 3.
    zero = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    output = SegOutput(zero, edge=(zero,), semantic=(zero, zero, zero))
    terms = InfNetLoss()(output, {"mask": zero, "edge": zero})
    assert terms["total"].item() == pytest.approx(5 * math.log(2) + 4 / 3)


def test_false_positives_on_an_empty_target_are_pushed_down(case: tuple[SegOutput, dict]) -> None:
    output, batch = case
    empty = {name: torch.zeros_like(target) for name, target in batch.items()}
    logits = output.logits()
    for gradient in torch.autograd.grad(InfNetLoss()(output, empty)["total"], logits):
        assert (gradient > 0).all()


def test_gradient(case: tuple[SegOutput, dict]) -> None:
    output, batch = case

    def total(mask: torch.Tensor, edge: torch.Tensor, *sides: torch.Tensor) -> torch.Tensor:
        return InfNetLoss()(SegOutput(mask, edge=(edge,), semantic=sides), batch)["total"]

    assert torch.autograd.gradcheck(total, output.logits())


def test_required_heads() -> None:
    assert InfNetLoss().required_heads == {"mask", "edge", "semantic"}
