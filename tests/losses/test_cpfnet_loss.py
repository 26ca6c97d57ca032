import math

import pytest
import torch

from losses.cpfnet import CPFNetLoss
from utils.contracts import SegOutput
from utils.errors import UserError


def logit(prob: float) -> float:
    return math.log(prob / (1 - prob))


def test_value_is_cross_entropy_plus_the_mean_dice_loss_of_both_classes() -> None:
    # Two slices of 1 x 2: p = 0.8, 0.4; 0.5, 0.1 against t = 1, 0; 1, 0.
    logits = torch.tensor([0.8, 0.4, 0.5, 0.1], dtype=torch.float64).logit().view(2, 1, 1, 2)
    target = torch.tensor([1.0, 0, 1, 0]).view(2, 1, 1, 2)
    terms = CPFNetLoss(smooth=0.2)(SegOutput(logits), {"mask": target})
    # CE = -(ln 0.8 + ln 0.6 + ln 0.5 + ln 0.9) / 4
    cross_entropy = -math.log(0.8 * 0.6 * 0.5 * 0.9) / 4
    # Lesion: sum p t = 1.3, sum p = 1.8, sum t = 2: (2.6 + 0.2) / (3.8 + 0.2) = 0.7
    # Background: sum = 0.6 + 0.9 = 1.5, sums 2.2 and 2: (3 + 0.2) / (4.2 + 0.2) = 3.2 / 4.4
    dice = ((1 - 0.7) + (1 - 3.2 / 4.4)) / 2
    assert terms["cross_entropy"].item() == pytest.approx(cross_entropy)
    assert terms["dice"].item() == pytest.approx(dice)
    assert terms["total"].item() == pytest.approx(cross_entropy + dice)


def test_equals_the_two_class_form_on_softmax() -> None:
    torch.manual_seed(0)
    pair = torch.randn(2, 2, 4, 5, dtype=torch.float64)
    target = (torch.rand(2, 1, 4, 5) > 0.6).double()
    prob = pair.softmax(dim=1)
    onehot = torch.cat([1 - target, target], dim=1)
    overlap, sums = (prob * onehot).sum(dim=(0, 2, 3)), (prob + onehot).sum(dim=(0, 2, 3))
    dice = 1 - ((2 * overlap + 1e-3) / (sums + 1e-3)).mean()
    wanted = dice - (onehot * prob.log()).sum(dim=1).mean()
    found = CPFNetLoss()(SegOutput(pair[:, 1:] - pair[:, :1]), {"mask": target})["total"]
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


def test_false_positives_on_an_empty_target_cost_and_are_pushed_down() -> None:
    target = torch.zeros(1, 1, 8, 8)
    loss = CPFNetLoss()
    blank = torch.full((1, 1, 8, 8), logit(0.01), dtype=torch.float64)
    wrong = blank.clone()
    wrong[..., :2, :2] = logit(0.9)
    wrong.requires_grad_()
    terms = loss(SegOutput(wrong), {"mask": target})
    before = loss(SegOutput(blank), {"mask": target})
    assert terms["cross_entropy"] > before["cross_entropy"]
    assert terms["dice"] > before["dice"]
    terms["dice"].backward()
    assert (wrong.grad > 0).all()


def test_gradients_are_exact() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    target = (torch.rand(2, 1, 3, 4) > 0.5).double()
    loss = CPFNetLoss()
    assert torch.autograd.gradcheck(
        lambda x: loss(SegOutput(x), {"mask": target})["total"], (logits,)
    )


def test_wrong_arguments_and_shapes_are_refused() -> None:
    with pytest.raises(UserError, match=r"loss.args.smooth: must be above 0"):
        CPFNetLoss(smooth=0.0)
    with pytest.raises(ValueError, match="differ"):
        CPFNetLoss()(SegOutput(torch.zeros(1, 1, 4, 4)), {"mask": torch.zeros(1, 1, 4, 5)})
