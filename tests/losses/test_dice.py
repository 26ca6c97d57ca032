import math

import pytest
import torch

from losses import create_loss, dice_loss
from utils.contracts import SegOutput
from utils.errors import UserError


def logit(prob: list) -> torch.Tensor:
    return torch.logit(torch.tensor(prob, dtype=torch.float64))


def test_value_of_a_hand_worked_case() -> None:
    # p = .9 .2 / .4 .5, t = 1 0 / 1 0: sum pt = 1.3, sum p = 2, sum t = 2.
    # 1 - (2 * 1.3 + 1) / (2 + 2 + 1) = 1 - 3.6 / 5 = 0.28
    logits = logit([[[[0.9, 0.2], [0.4, 0.5]]]])
    target = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
    assert dice_loss(logits, target).item() == pytest.approx(0.28, abs=1e-12)


def test_reduction_batch_pools_and_image_averages() -> None:
    # image 0: p = .5 .5, t = 1 0; image 1: p = .1 .1, t = 0 0; s = 1.
    # batch: 1 - (2 * .5 + 1) / (1.2 + 1 + 1) = 1 - 2 / 3.2 = .375
    # image: (1 - 2 / 3 + 1 - 1 / 1.2) / 2 = (.33333 + .16667) / 2 = .25
    logits = logit([[[[0.5, 0.5]]], [[[0.1, 0.1]]]])
    target = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 0.0]]]])
    assert dice_loss(logits, target).item() == pytest.approx(0.375, abs=1e-12)
    assert dice_loss(logits, target, reduction="image").item() == pytest.approx(0.25, abs=1e-12)


def test_gradient_equals_equation_5() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 5, 4, dtype=torch.float64, requires_grad=True)
    target = (torch.rand(2, 1, 5, 4) > 0.6).double()
    prob = torch.sigmoid(logits)
    printed = 1 - 2 * (prob * target).sum() / (prob.sum() + target.sum())
    (wanted,) = torch.autograd.grad(printed, logits)
    (found,) = torch.autograd.grad(dice_loss(logits, target, smooth=1e-12), logits)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("reduction", ["batch", "image"])
def test_gradcheck(reduction: str) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    target = (torch.rand(2, 1, 3, 3) > 0.5).double()
    assert torch.autograd.gradcheck(lambda x: dice_loss(x, target, reduction=reduction), logits)


@pytest.mark.parametrize("reduction", ["batch", "image"])
def test_empty_target_punishes_false_positives_in_value_and_gradient(reduction: str) -> None:
    target = torch.zeros(2, 1, 8, 8)
    values = []
    for level in (-8.0, -2.0, 0.0, 2.0):
        logits = torch.full((2, 1, 8, 8), level, requires_grad=True)
        loss = dice_loss(logits, target, reduction=reduction)
        loss.backward()
        assert (logits.grad > 0).all()
        values.append(loss.item())
    assert values == sorted(values)
    # p = sigmoid(0) = .5 on 128 px (batch): 1 - 1 / (64 + 1); on 64 px (image): 1 - 1 / (32 + 1).
    assert values[2] == pytest.approx(1 - 1 / (65 if reduction == "batch" else 33), abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_reduced_in_float32(dtype: torch.dtype) -> None:
    # 2 x 256 x 256 ones: sum p + sum t near 262,144, past the largest float16 of 65,504.
    logits = torch.full((2, 1, 256, 256), 10.0, dtype=dtype)
    loss = dice_loss(logits, torch.ones(2, 1, 256, 256))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(0, abs=1e-3)
    with torch.autocast("cpu", torch.bfloat16):
        assert dice_loss(logits.float(), torch.ones(2, 1, 256, 256)).dtype == torch.float32


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ"):
        dice_loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4))


def test_dice_loss_module_names_its_term_and_total() -> None:
    logits, target = torch.randn(2, 1, 4, 4), torch.ones(2, 1, 4, 4)
    terms = create_loss("dice")(SegOutput(mask=logits), {"mask": target})
    assert set(terms) == {"mask", "total"}
    assert terms["total"].item() == pytest.approx(dice_loss(logits, target).item())


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("dise", {}, "loss.function: there is no 'dise', did you mean dice"),
        ("dice", {"smoth": 1.0}, "loss.args.smoth: .* did you mean smooth"),
        ("dice", {"smooth": 0.0}, "loss.args.smooth"),
        ("dice", {"smooth": math.nan}, "loss.args.smooth"),
        ("dice", {"reduction": "mean"}, "loss.args.reduction"),
        ("joint", {"theta": -0.1}, "loss.args.theta: must not be negative, not -0.1"),
        ("joint", {"theta": "x"}, "loss.args.theta: .*number.*'x'"),
        ("joint", {"edge_weights": 1.0}, "loss.args.edge_weights"),
        ("joint", {"edge_weights": [1.0, -1.0]}, "loss.args.edge_weights"),
    ],
)
def test_wrong_arguments_are_named(name: str, arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        create_loss(name, **arguments)
