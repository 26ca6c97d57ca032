import math

import pytest
import torch

from losses.bce_dice import BceDiceLoss
from losses.cross_entropy import bce_loss
from losses.dice import dice_loss
from utils.contracts import SegOutput
from utils.errors import UserError


def test_value_of_a_hand_worked_case() -> None:
    # p = .9 .2, t = 1 0: BCE = (-ln .9 - ln .8) / 2 = .1642520
    # Dice, s = 1: 1 - (2 * .9 + 1) / (1.1 + 1 + 1) = 1 - 2.8 / 3.1 = .0967742
    # total: .5 * .1642520 + .0967742 = .1789002
    logits = torch.logit(torch.tensor([[[[0.9, 0.2]]]], dtype=torch.float64))
    target = torch.tensor([[[[1.0, 0.0]]]], dtype=torch.float64)
    terms = BceDiceLoss(bce_weight=0.5)(SegOutput(logits), {"mask": target})
    assert list(terms) == ["bce", "dice", "total"]
    assert terms["bce"].item() == pytest.approx(0.1642520, abs=1e-7)
    assert terms["dice"].item() == pytest.approx(0.0967742, abs=1e-7)
    assert terms["total"].item() == pytest.approx(0.1789002, abs=1e-7)


@pytest.fixture
def case() -> tuple[SegOutput, dict]:
    torch.manual_seed(0)
    logits = [torch.randn(2, 1, 6, 6, dtype=torch.float64) for _ in range(4)]
    return SegOutput(logits[0], semantic=tuple(logits[1:])), {
        "mask": (torch.rand(2, 1, 6, 6) > 0.5).double()
    }


def test_deep_supervision_is_the_mean_over_mask_and_side_outputs(
    case: tuple[SegOutput, dict],
) -> None:
    output, batch = case
    loss = BceDiceLoss(bce_weight=0.5, reduction="image", smooth=0.1, deep_supervision=True)
    assert loss.required_heads == {"mask", "semantic"}
    wanted = sum(
        0.5 * bce_loss(x, batch["mask"])
        + dice_loss(x, batch["mask"], reduction="image", smooth=0.1)
        for x in output.logits()
    )
    torch.testing.assert_close(loss(output, batch)["total"], wanted / 4)


def test_without_deep_supervision_the_mask_alone_counts(case: tuple[SegOutput, dict]) -> None:
    output, batch = case
    loss = BceDiceLoss()
    assert loss.required_heads == {"mask"}
    wanted = bce_loss(output.mask, batch["mask"]) + dice_loss(output.mask, batch["mask"])
    torch.testing.assert_close(loss(output, batch)["total"], wanted)


@pytest.mark.parametrize("reduction", ["batch", "image"])
def test_gradcheck(reduction: str) -> None:
    torch.manual_seed(0)
    loss = BceDiceLoss(bce_weight=0.7, reduction=reduction, deep_supervision=True)
    logits = [torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    batch = {"mask": (torch.rand(2, 1, 3, 3) > 0.5).double()}

    def total(mask: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
        return loss(SegOutput(mask, semantic=(side,)), batch)["total"]

    assert torch.autograd.gradcheck(total, logits)


@pytest.mark.parametrize("reduction", ["batch", "image"])
def test_empty_target_punishes_false_positives_in_both_terms(reduction: str) -> None:
    batch, values = {"mask": torch.zeros(2, 1, 8, 8)}, []
    loss = BceDiceLoss(reduction=reduction)
    for level in (-8.0, -2.0, 0.0, 2.0):
        logits = torch.full((2, 1, 8, 8), level, requires_grad=True)
        terms = loss(SegOutput(logits), batch)
        for term in ("bce", "dice"):
            (gradient,) = torch.autograd.grad(terms[term], logits, retain_graph=True)
            assert (gradient > 0).all()
        values.append(terms["total"].item())
    assert values == sorted(values)
    # p = .5 on 128 px (batch) or 64 px (image): ln 2 + 1 - 1 / (64 or 32 + 1).
    pixels = 64 if reduction == "batch" else 32
    assert values[2] == pytest.approx(math.log(2) + 1 - 1 / (pixels + 1), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bce_weight": -1.0}, r"loss\.args\.bce_weight: must not be negative"),
        ({"bce_weight": math.nan}, r"loss\.args\.bce_weight"),
        ({"smooth": 0.0}, r"loss\.args\.smooth"),
        ({"reduction": "mean"}, r"loss\.args\.reduction"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        BceDiceLoss(**arguments)
