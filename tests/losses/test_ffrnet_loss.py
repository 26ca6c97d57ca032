import math

import numpy as np
import pytest
import torch
from torch import Tensor

from losses.cross_entropy import bce_loss
from losses.dice import dice_loss
from losses.ffrnet import FFRNetLoss, structure_consistency_loss
from utils.contracts import SegOutput
from utils.errors import UserError


def square(side: int, start: int, stop: int) -> Tensor:
    """A slice (1, 1, side, side) with a square lesion."""
    mask = torch.zeros(1, 1, side, side, dtype=torch.float64)
    mask[..., start:stop, start:stop] = 1
    return mask


def logits_of(mask: Tensor, confidence: float) -> Tensor:
    """A prediction of that mask, this sure of every pixel."""
    scale = math.log(confidence / (1 - confidence))
    return ((2 * mask - 1) * scale).requires_grad_()


def blobs(seed: int, share: float = 0.55) -> Tensor:
    """Two random slices of 9 x 12 that reach the border."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(2, 1, 9, 12, generator=generator) < share).double()


def distance_map(mask: np.ndarray) -> np.ndarray:
    """Pixel by pixel against all others, and those just beyond the image."""
    padded = np.pad(mask, 1)
    others = np.argwhere(padded == 0)
    distance = np.zeros(padded.shape)
    for place in np.argwhere(padded == 1):
        distance[tuple(place)] = np.sqrt(((others - place) ** 2).sum(axis=1)).min()
    return distance[1:-1, 1:-1]


def test_a_hole_is_to_blame_for_all_that_it_does_to_the_distance_map() -> None:
    """A 5 x 5 lesion in 7 x 7; the prediction lacks its middle, at p = 0.1 there."""
    target = square(7, 1, 6)
    pred = target.clone()
    pred[..., 3, 3] = 0
    logits = logits_of(pred, 0.9)
    loss = structure_consistency_loss(logits, target)
    # Middle: d = 3, e = 0, f = 4 ln 4 - 4 + 1. Its four neighbours: d = 2, e = 1,
    # f = 3 ln (3 / 2) - 1. Four diagonal ones: d = 2, e = sqrt 2. The rim is 1 from outside.
    root = math.sqrt(2)
    caused = 4 * math.log(4) - 3
    caused += 4 * (3 * math.log(3 / 2) - 1)
    caused += 4 * (3 * math.log(3 / (1 + root)) - 3 + 1 + root)
    assert loss.item() == pytest.approx(caused * 0.9 / 49)
    loss.backward()
    # d|p - 1| / dlogit = -p (1 - p) at the hole, nothing elsewhere.
    wanted = torch.zeros_like(target)
    wanted[..., 3, 3] = -caused * 0.9 * 0.1 / 49
    torch.testing.assert_close(logits.grad, wanted, rtol=0, atol=1e-12)


def test_false_positives_on_an_empty_target_cost_and_are_pushed_down() -> None:
    """A 3 x 3 false positive: its rim is 1 px deep, its middle 2 px."""
    pred, target = square(5, 1, 4), torch.zeros(1, 1, 5, 5)
    logits = logits_of(pred, 0.8)
    loss = structure_consistency_loss(logits, target)
    # f = b - 1 - ln b: 8 pixels of 1 - ln 2, one of 2 - ln 3.
    assert loss.item() == pytest.approx(0.8 * (8 * (1 - math.log(2)) + 2 - math.log(3)) / 25)
    loss.backward()
    assert (logits.grad[pred == 1] > 0).all()
    assert (logits.grad[pred == 0] == 0).all()


def test_a_missed_lesion_is_pulled_up_most_at_its_core() -> None:
    target = square(7, 1, 6)
    logits = logits_of(torch.zeros_like(target), 0.9)
    structure_consistency_loss(logits, target).backward()
    pull = -logits.grad[0, 0]
    assert pull[3, 3] > pull[2, 3] > pull[1, 3] > 0
    assert (logits.grad[target == 0] == 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_certain_prediction_costs_the_divergence_of_the_distance_maps(seed: int) -> None:
    target, pred = blobs(seed), blobs(seed + 100, share=0.8)
    wanted = []
    for one, other in zip(target[:, 0].numpy(), pred[:, 0].numpy(), strict=True):
        a, b = 1 + distance_map(one), 1 + distance_map(other)
        wanted.append((a * np.log(a / b) - a + b).mean())
    found = structure_consistency_loss(40 * (2 * pred - 1), target)
    assert found.item() == pytest.approx(np.mean(wanted), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_gradient_moves_every_wrong_pixel_towards_the_target_and_no_other(seed: int) -> None:
    target, pred = blobs(seed), blobs(seed + 100, share=0.8)
    logits = logits_of(pred, 0.7)
    structure_consistency_loss(logits, target).backward()
    assert (logits.grad[(pred == 1) & (target == 0)] > 0).all()
    assert (logits.grad[(pred == 0) & (target == 1)] < 0).all()
    assert (logits.grad[pred == target] == 0).all()


@pytest.mark.parametrize("filled", [0.0, 1.0])
def test_equal_masks_cost_nothing_even_without_a_single_edge(filled: float) -> None:
    mask = torch.full((2, 1, 6, 5), filled)
    assert structure_consistency_loss(logits_of(mask, 0.6), mask).item() == 0
    other = logits_of(1 - mask, 0.6)
    loss = structure_consistency_loss(other, mask)
    loss.backward()
    assert loss > 0
    assert (other.grad.sign() == 1 - 2 * mask).all()


def test_slices_do_not_change_each_others_distances() -> None:
    target, logits = blobs(0), logits_of(blobs(1), 0.8)
    together = structure_consistency_loss(logits, target)
    alone = [structure_consistency_loss(logits[i : i + 1], target[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(together, torch.stack(alone).mean())


def test_half_precision_is_computed_in_float32() -> None:
    target, logits = blobs(0).float(), logits_of(blobs(1), 0.8).detach()
    found = structure_consistency_loss(logits.bfloat16(), target)
    assert found.dtype == torch.float32
    wanted = structure_consistency_loss(logits.bfloat16().float(), target)
    assert torch.equal(found, wanted)


def test_a_share_without_slices_has_no_values() -> None:
    output = SegOutput(torch.zeros(0, 1, 4, 6, requires_grad=True))
    terms = FFRNetLoss().eval()(output, {"mask": torch.zeros(0, 1, 4, 6)})
    assert terms["structure"].shape == ()


def test_total_is_the_weighted_sum_of_the_terms() -> None:
    output, batch = SegOutput(logits_of(blobs(1), 0.8)), {"mask": blobs(0)}
    terms = FFRNetLoss(structure_weight=0.5)(output, batch)
    assert list(terms) == ["cross_entropy", "dice", "structure", "total"]
    structure = structure_consistency_loss(output.mask, batch["mask"])
    torch.testing.assert_close(terms["cross_entropy"], bce_loss(output.mask, batch["mask"]))
    torch.testing.assert_close(
        terms["dice"], dice_loss(output.mask, batch["mask"], reduction="image")
    )
    torch.testing.assert_close(terms["structure"], structure)
    wanted = terms["cross_entropy"] + terms["dice"] + 0.5 * structure
    torch.testing.assert_close(terms["total"], wanted)
    without = FFRNetLoss(structure_weight=0.0)(output, batch)
    assert list(without) == ["cross_entropy", "dice", "total"]


def test_an_empty_slice_with_a_blank_prediction_costs_nothing_but_never_less() -> None:
    blank = torch.full((1, 1, 8, 8), -30.0)
    total = FFRNetLoss()(SegOutput(blank), {"mask": torch.zeros(1, 1, 8, 8)})["total"].item()
    assert 0 <= total < 1e-6


def test_gradients_are_exact() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 5, 6, generator=generator, dtype=torch.float64)
    logits.requires_grad_()
    target = (torch.rand(2, 1, 5, 6, generator=generator) > 0.5).double()
    loss = FFRNetLoss()
    assert torch.autograd.gradcheck(
        lambda x: loss(SegOutput(x), {"mask": target})["total"], (logits,)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"structure_weight": -0.5}, r"loss.args.structure_weight: must not be negative, not -0.5"),
        ({"smooth": 0.0}, r"loss.args.smooth: must be above 0"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        FFRNetLoss(**arguments)


def test_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="differ"):
        structure_consistency_loss(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 5))


def test_the_structure_terms_gradient_is_the_finite_difference_of_its_value() -> None:
    """Pixel by pixel, each slice's from its own value alone."""
    target, logits = blobs(3), logits_of(blobs(4), 0.7).detach()
    logits += torch.rand(logits.shape, dtype=torch.float64) / 4  # none is certain, none alike
    logits.requires_grad_()
    structure_consistency_loss(logits, target).backward()
    step, found = 1e-6, torch.zeros_like(logits)
    for place in range(logits.numel()):
        moved = torch.zeros(logits.numel(), dtype=torch.float64)
        moved[place] = step
        ends = [
            structure_consistency_loss(logits.detach() + sign * moved.view_as(logits), target)
            for sign in (1, -1)
        ]
        found.view(-1)[place] = (ends[0] - ends[1]) / (2 * step)
    torch.testing.assert_close(logits.grad, found, rtol=1e-6, atol=1e-9)
    assert logits.grad.abs().max() > 1e-4  # of means over 108 px of two slices
    alone = logits.detach()[:1].clone().requires_grad_()
    structure_consistency_loss(alone, target[:1]).backward()
    torch.testing.assert_close(logits.grad[:1], alone.grad / 2)
