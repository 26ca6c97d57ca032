import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from losses.coeranet import CoERANetLoss, hybrid_loss, ssim
from utils.contracts import Batch, SegOutput
from utils.errors import UserError

# Weight of the middle of the 11 x 11 window: the square of 1 / sum_k exp(-k^2 / 4.5), k = -5 ... 5.
MIDDLE = (1 / sum(math.exp(-(k**2) / 4.5) for k in range(-5, 6))) ** 2
C1, C2 = 0.0001, 0.0009


def logit(prob: float) -> float:
    return math.log(prob / (1 - prob))


def pixel(prob: float) -> Tensor:
    """One slice of one pixel with this probability."""
    return torch.full((1, 1, 1, 1), logit(prob), dtype=torch.float64)


def batch_of(mask: Tensor, lung: Tensor, has_lung: list[bool]) -> Batch:
    return {"mask": mask, "lung": lung, "has_lung": torch.tensor(has_lung)}


def test_ssim_agrees_with_scikit_image_away_from_the_borders() -> None:
    generator = torch.Generator().manual_seed(0)
    prob = torch.rand(2, 1, 24, 31, generator=generator, dtype=torch.float64)
    target = (torch.rand(2, 1, 24, 31, generator=generator) > 0.5).double()
    found = ssim(prob, target)
    for index in range(2):
        _, wanted = structural_similarity(
            prob[index, 0].numpy(),
            target[index, 0].numpy(),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
            full=True,
        )
        inner = found[index, 0, 5:-5, 5:-5].numpy()
        np.testing.assert_allclose(inner, wanted[5:-5, 5:-5], rtol=0, atol=1e-12)


def test_ssim_of_a_map_with_itself_is_1_up_to_the_border() -> None:
    prob = torch.rand(1, 1, 9, 9, dtype=torch.float64)
    torch.testing.assert_close(ssim(prob, prob), torch.ones_like(prob), rtol=0, atol=1e-12)


def test_one_pixel_by_hand() -> None:
    p, t, w = 0.75, 1.0, MIDDLE
    # Zeros around the pixel: E[x] = w x, so s_p^2 = w p^2 - w^2 p^2 = w (1 - w) p^2.
    spread = w * (1 - w)
    similarity = (2 * w * w * p * t + C1) / (w * w * (p * p + t * t) + C1)
    similarity *= (2 * spread * p * t + C2) / (spread * (p * p + t * t) + C2)
    # BCE = -log 0.75; I = 0.75, U = 0.75 + 1 - 0.75 = 1, with s = 1: 1 - 1.75 / 2 = 0.125.
    wanted = -math.log(0.75) + 1 - similarity + 0.125
    loss = hybrid_loss(pixel(p), torch.ones(1, 1, 1, 1))
    assert loss.tolist() == pytest.approx([wanted], abs=1e-12)


def test_empty_target_by_hand_and_its_gradient() -> None:
    p, w = 0.25, MIDDLE
    spread = w * (1 - w)
    similarity = C1 / (w * w * p * p + C1) * C2 / (spread * p * p + C2)
    # BCE = -log(1 - 0.25); I = 0, U = 0.25: 1 - 1 / 1.25 = 0.2.
    wanted = -math.log(0.75) + 1 - similarity + 0.2
    logits = pixel(p).requires_grad_()
    loss = hybrid_loss(logits, torch.zeros(1, 1, 1, 1))
    assert loss.tolist() == pytest.approx([wanted], abs=1e-12)
    logits = torch.linspace(-6, 6, 64, dtype=torch.float64).view(1, 1, 8, 8).requires_grad_()
    hybrid_loss(logits, torch.zeros(1, 1, 8, 8)).sum().backward()
    assert (logits.grad > 0).all()
    blank = torch.full((1, 1, 8, 8), -40.0, dtype=torch.float64)
    assert hybrid_loss(blank, torch.zeros(1, 1, 8, 8)).item() == pytest.approx(0, abs=1e-12)


def test_a_perfect_prediction_costs_nothing() -> None:
    mask = torch.zeros(2, 1, 16, 16)
    mask[:, :, 4:9, 3:12] = 1
    assert hybrid_loss(80 * mask - 40, mask).tolist() == pytest.approx([0, 0], abs=1e-6)


def test_terms_and_their_weights() -> None:
    torch.manual_seed(0)
    maps = torch.randn(5, 3, 1, 12, 8)
    mask, lung = (torch.rand(2, 3, 1, 12, 8) > 0.5).float()
    sides = (maps[1], maps[2], maps[3])
    output = SegOutput(mask=maps[0], semantic=sides, lung=maps[4], lung_sides=sides)
    batch = batch_of(mask, lung, [True, True, True])
    terms = CoERANetLoss()(output, batch)
    single = [hybrid_loss(m, mask).mean() for m in maps[:4]]
    torch.testing.assert_close(terms["mask"], single[0])
    torch.testing.assert_close(terms["semantic"], single[1] + single[2] + single[3])
    torch.testing.assert_close(terms["lung"], hybrid_loss(maps[4], lung).mean())
    single = [hybrid_loss(m, lung).mean() for m in sides]
    torch.testing.assert_close(terms["lung_sides"], single[0] + single[1] + single[2])
    # 1 for the final maps, a tenth for each scale.
    wanted = terms["mask"] + terms["lung"] + 0.1 * (terms["semantic"] + terms["lung_sides"])
    torch.testing.assert_close(terms["total"], wanted)


def test_slices_without_a_lung_mask_leave_the_lung_term_out() -> None:
    torch.manual_seed(0)
    logits, lung = torch.randn(3, 1, 8, 8, requires_grad=True), torch.ones(3, 1, 8, 8)
    lung[1] = 0
    output = SegOutput(mask=torch.zeros(3, 1, 8, 8), lung=logits)
    loss = CoERANetLoss(scale_weight=0.0)
    found = loss(output, batch_of(torch.zeros(3, 1, 8, 8), lung, [True, False, True]))["lung"]
    values = hybrid_loss(logits, lung)
    torch.testing.assert_close(found, (values[0] + values[2]) / 2)
    found.backward()
    assert [bool(g.any()) for g in logits.grad] == [True, False, True]


def test_a_batch_without_any_lung_mask_has_a_lung_term_of_0() -> None:
    logits = torch.randn(2, 1, 8, 8, requires_grad=True)
    zeros = torch.zeros(2, 1, 8, 8)
    output = SegOutput(mask=zeros, lung=logits)
    lung = CoERANetLoss(scale_weight=0.0)(output, batch_of(zeros, zeros, [False, False]))["lung"]
    lung.backward()
    assert lung == 0
    assert (logits.grad == 0).all()


def test_required_heads_follow_the_weights() -> None:
    assert CoERANetLoss().required_heads == {"mask", "semantic", "lung"}
    assert CoERANetLoss(lung_weight=0.0).required_heads == {"mask", "semantic"}
    assert CoERANetLoss(scale_weight=0.0).required_heads == {"mask", "lung"}
    zeros = torch.zeros(1, 1, 8, 8)
    terms = CoERANetLoss(scale_weight=0.0, lung_weight=0.0)(SegOutput(zeros), {"mask": zeros})
    assert set(terms) == {"mask", "total"}


def test_gradient_is_that_of_the_value() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    target = (torch.rand(2, 1, 4, 5) > 0.5).double()
    target[1] = 0
    assert torch.autograd.gradcheck(lambda x: hybrid_loss(x, target), logits)


def test_half_precision_logits_give_a_float32_loss() -> None:
    logits, mask = torch.randn(2, 1, 64, 64), (torch.rand(2, 1, 64, 64) > 0.5).float()
    with torch.autocast("cpu", torch.bfloat16):
        loss = hybrid_loss(logits.bfloat16(), mask)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, hybrid_loss(logits.bfloat16().float(), mask))


def test_an_empty_share_of_a_batch_has_no_loss() -> None:
    assert hybrid_loss(torch.zeros(0, 1, 8, 8), torch.zeros(0, 1, 8, 8)).shape == (0,)


@pytest.mark.parametrize(
    "arguments", [{"scale_weight": -1.0}, {"lung_weight": float("nan")}, {"smooth": 0.0}]
)
def test_wrong_arguments_are_named(arguments: dict) -> None:
    with pytest.raises(UserError, match=f"loss.args.{next(iter(arguments))}"):
        CoERANetLoss(**arguments)


def test_differing_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="differ"):
        hybrid_loss(torch.zeros(1, 1, 8, 8), torch.zeros(1, 8, 8))
