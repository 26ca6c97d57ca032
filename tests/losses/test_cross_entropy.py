import math

import pytest
import torch
import torch.nn.functional as F

from losses.cross_entropy import CrossEntropyLoss, bce_loss
from tests.training.process_pair import ProcessPair
from utils.contracts import SegOutput
from utils.errors import UserError


def logit(prob: list) -> torch.Tensor:
    return torch.logit(torch.tensor(prob, dtype=torch.float64))


def test_value_of_a_hand_worked_case() -> None:
    # p = .9 .2, t = 1 0: (-ln .9 - ln .8) / 2 = (.1053605 + .2231436) / 2 = .1642520
    # p = .5 .5, t = 1 0: ln 2 = .6931472; mean of the two slices .4286996
    logits = logit([[[[0.9, 0.2]]], [[[0.5, 0.5]]]])
    target = torch.tensor([[[[1.0, 0.0]]], [[[1.0, 0.0]]]])
    assert bce_loss(logits, target).item() == pytest.approx(0.4286996, abs=1e-7)


def test_two_class_softmax_cross_entropy_of_zero_and_the_logit_is_the_same() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 5, 4, dtype=torch.float64)
    target = (torch.rand(2, 1, 5, 4) > 0.6).double()
    two = torch.cat([torch.zeros_like(logits), logits], dim=1)
    wanted = F.cross_entropy(two, target[:, 0].long())
    torch.testing.assert_close(bce_loss(logits, target), wanted)


def test_gradcheck() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    target = (torch.rand(2, 1, 3, 3) > 0.5).double()
    assert torch.autograd.gradcheck(lambda x: bce_loss(x, target), logits)


def test_empty_target_punishes_false_positives_in_value_and_gradient() -> None:
    target, values = torch.zeros(2, 1, 8, 8), []
    for level in (-8.0, 0.0, 8.0):
        logits = torch.full((2, 1, 8, 8), level, requires_grad=True)
        loss = bce_loss(logits, target)
        loss.backward()
        # sigmoid(logit) over 128 px
        wanted = torch.full_like(logits, 1 / (1 + math.exp(-level)) / 128)
        torch.testing.assert_close(logits.grad, wanted)
        values.append(loss.item())
    assert values == pytest.approx([math.log1p(math.exp(x)) for x in (-8, 0, 8)], abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_reduced_in_float32(dtype: torch.dtype) -> None:
    # 256 x 256 px of loss 10 each sum to 655,360, past the largest float16 of 65,504.
    logits = torch.full((1, 1, 256, 256), 10.0, dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16):
        loss = bce_loss(logits, torch.zeros(1, 1, 256, 256))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(10, abs=1e-3)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ"):
        bce_loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4))


@pytest.fixture
def case() -> tuple[SegOutput, dict]:
    torch.manual_seed(0)
    logits = [torch.randn(2, 1, 6, 6, dtype=torch.float64) for _ in range(3)]
    return SegOutput(logits[0], semantic=tuple(logits[1:])), {
        "mask": (torch.rand(2, 1, 6, 6) > 0.5).double()
    }


def test_side_outputs_are_added_with_their_weight(case: tuple[SegOutput, dict]) -> None:
    output, batch = case
    terms = CrossEntropyLoss(side_weight=0.4)(output, batch)
    mask, *sides = (bce_loss(x, batch["mask"]) for x in output.logits())
    assert list(terms) == ["mask", "semantic", "total"]
    torch.testing.assert_close(terms["mask"], mask)
    torch.testing.assert_close(terms["semantic"], sides[0] + sides[1])
    torch.testing.assert_close(terms["total"], mask + 0.4 * (sides[0] + sides[1]))


def test_without_a_weight_side_outputs_are_neither_used_nor_required(
    case: tuple[SegOutput, dict],
) -> None:
    output, batch = case
    loss = CrossEntropyLoss()
    terms = loss(output, batch)
    assert list(terms) == ["mask", "total"]
    assert terms["total"] is terms["mask"]
    assert loss.required_heads == {"mask"}
    assert CrossEntropyLoss(side_weight=1.0).required_heads == {"mask", "semantic"}


@pytest.mark.parametrize("weight", [-0.1, math.nan])
def test_a_negative_weight_is_refused(weight: float) -> None:
    with pytest.raises(UserError, match=r"loss\.args\.side_weight"):
        CrossEntropyLoss(side_weight=weight)


def loss_of(start: int, end: int, shared: bool) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 1, 4, 4, generator=generator, dtype=torch.float64)
    target = (torch.rand(3, 1, 4, 4, generator=generator) > 0.6).double()[start:end]
    logits = logits[start:end].clone().requires_grad_()
    loss = bce_loss(logits, target, shared=shared)
    loss.backward()
    return {"loss": loss.detach(), "gradient": logits.grad}


def loss_of_share(rank: int) -> dict[str, torch.Tensor]:
    return loss_of(*((0, 1), (1, 3))[rank], shared=True)


def loss_of_all_or_nothing(rank: int) -> dict[str, torch.Tensor]:
    return loss_of(*((0, 3), (3, 3))[rank], shared=True)


@pytest.mark.slow
@pytest.mark.parametrize("share", [loss_of_share, loss_of_all_or_nothing])
def test_two_processes_have_the_loss_of_the_whole_batch(share, process_pair: ProcessPair) -> None:
    expected = loss_of(0, 3, shared=False)
    first, second = process_pair.run(share)
    for own in (first, second):
        torch.testing.assert_close(own["loss"], expected["loss"])
    # DistributedDataParallel takes the mean over the two processes.
    gradient = torch.cat([first["gradient"], second["gradient"]]) / 2
    torch.testing.assert_close(gradient, expected["gradient"])
