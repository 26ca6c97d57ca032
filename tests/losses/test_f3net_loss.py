import math

import pytest
import torch

from losses.f3net import F3NetLoss
from losses.structure import structure_loss
from utils.contracts import SegOutput
from utils.errors import UserError


@pytest.fixture
def case() -> tuple[SegOutput, dict]:
    torch.manual_seed(0)
    logits = [torch.randn(2, 1, 5, 6, dtype=torch.float64, requires_grad=True) for _ in range(6)]
    batch = {"mask": (torch.rand(2, 1, 5, 6) > 0.7).double()}
    return SegOutput(logits[0], semantic=tuple(logits[1:])), batch


def test_total_weighs_both_predictions_by_a_half_and_the_levels_by_ever_less(
    case: tuple[SegOutput, dict],
) -> None:
    output, batch = case
    terms = F3NetLoss()(output, batch)
    assert list(terms) == ["mask", "semantic", "total"]
    mask = structure_loss(output.mask, batch["mask"])
    first, *levels = (structure_loss(side, batch["mask"]) for side in output.semantic)
    semantic = first / 2 + levels[0] / 2 + levels[1] / 4 + levels[2] / 8 + levels[3] / 16
    torch.testing.assert_close(terms["mask"], mask)
    torch.testing.assert_close(terms["semantic"], semantic)
    torch.testing.assert_close(terms["total"], mask / 2 + semantic)


def test_value_of_a_hand_worked_empty_target() -> None:
    # p = .5 on one pixel without lesion: ln 2 + 1 - 1 / 1.5 = ln 2 + 1 / 3 per map;
    # the weights sum to 1/2 + 1/2 + 1/2 + 1/4 + 1/8 + 1/16 = 31/16.
    zero = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    terms = F3NetLoss()(SegOutput(zero, semantic=(zero,) * 5), {"mask": zero})
    assert terms["total"].item() == pytest.approx(31 / 16 * (math.log(2) + 1 / 3))


def test_false_positives_on_an_empty_target_are_pushed_down(case: tuple[SegOutput, dict]) -> None:
    output, batch = case
    empty = {"mask": torch.zeros_like(batch["mask"])}
    for gradient in torch.autograd.grad(F3NetLoss()(output, empty)["total"], output.logits()):
        assert (gradient > 0).all()


def test_gradient(case: tuple[SegOutput, dict]) -> None:
    output, batch = case

    def total(mask: torch.Tensor, *sides: torch.Tensor) -> torch.Tensor:
        return F3NetLoss()(SegOutput(mask, semantic=sides), batch)["total"]

    assert torch.autograd.gradcheck(total, output.logits())


def test_weights_are_arguments_and_must_fit(case: tuple[SegOutput, dict]) -> None:
    output, batch = case
    terms = F3NetLoss(mask_weight=2.0, side_weights=[0, 0, 0, 0, 3.0])(output, batch)
    wanted = 2 * structure_loss(output.mask, batch["mask"])
    wanted = wanted + 3 * structure_loss(output.semantic[4], batch["mask"])
    torch.testing.assert_close(terms["total"], wanted)
    with pytest.raises(UserError, match="2 weights for 5 side outputs"):
        F3NetLoss(side_weights=[1.0, 1.0])(output, batch)
    with pytest.raises(UserError, match=r"loss\.args\.side_weights: must not be negative, not -1"):
        F3NetLoss(side_weights=[1.0, -1.0])
    with pytest.raises(UserError, match=r"loss\.args\.mask_weight"):
        F3NetLoss(mask_weight=-0.5)


def test_required_heads() -> None:
    assert F3NetLoss().required_heads == {"mask", "semantic"}
