import math

import pytest
import torch
import torch.nn.functional as F

from losses.structure import structure_loss


def logit(prob: list) -> torch.Tensor:
    return torch.logit(torch.tensor(prob, dtype=torch.float64))


def test_value_of_a_hand_worked_case() -> None:
    # p = .8 .3, t = 1 0. One lesion pixel among the 961 of either window:
    # w = 1 + 5 (1 - 1 / 961) = 5.994797 on the lesion, 1 + 5 / 961 = 1.005203 beside it; sum 7.
    # BCE: -ln .8 = .223144, -ln .7 = .356675;
    # weighted (5.994797 * .223144 + 1.005203 * .356675) / 7 = .242319
    # IoU: w p t = 4.795838, w (p + t) = 5.994797 * 1.8 + 1.005203 * .3 = 11.092196;
    # 1 - (4.795838 + 1) / (11.092196 - 4.795838 + 1) = 1 - 5.795838 / 7.296358 = .205654
    logits, mask = logit([[[[0.8, 0.3]]]]), torch.tensor([[[[1.0, 0.0]]]])
    assert structure_loss(logits, mask).item() == pytest.approx(0.242319 + 0.205654, abs=2e-6)


def test_weights_count_in_the_cross_entropy() -> None:
    # Equal errors, one on the lesion and one beside it: the one that weighs more costs more.
    mask = torch.tensor([[[[1.0, 0.0]]]])
    missed = structure_loss(logit([[[[0.2, 0.1]]]]), mask)
    alarmed = structure_loss(logit([[[[0.9, 0.8]]]]), mask)
    # The weighted cross-entropies differ by (w_1 - w_0) (ln .9 - ln .2) / 7, w as above; without
    # weights they would be equal.
    overlap, other = 5.994797, 1.005203
    cross = (overlap - other) * (math.log(0.9) - math.log(0.2)) / 7
    iou_missed = 1 - (overlap * 0.2 + 1) / (overlap + other * 0.1 + 1)
    iou_alarmed = 1 - (overlap * 0.9 + 1) / (overlap + other * 0.8 + 1)
    wanted = cross + iou_missed - iou_alarmed
    assert (missed - alarmed).item() == pytest.approx(wanted, abs=1e-5)


def test_weights_are_those_of_a_square_window_that_counts_zeros_beyond_the_border() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 40, 50, dtype=torch.float64)
    mask = torch.zeros(2, 1, 40, 50, dtype=torch.float64)
    mask[0, :, 5:25, 8:30] = 1
    mask[1] = 1
    weight = 1 + 5 * (F.avg_pool2d(mask, 31, stride=1, padding=15) - mask).abs()
    # In a corner of a slice that is lesion all over, 16 x 16 of 31 x 31 pixels lie inside.
    assert weight[1, 0, 0, 0].item() == pytest.approx(1 + 5 * (1 - 256 / 961))
    assert weight[1, 0, 20, 25].item() == pytest.approx(1)
    prob = torch.sigmoid(logits)
    bce = F.binary_cross_entropy(prob, mask, reduction="none")
    wanted = []
    for w, b, p, t in zip(weight, bce, prob, mask, strict=True):
        overlap, union = (w * p * t).sum(), (w * (p + t - p * t)).sum()
        wanted.append((w * b).sum() / w.sum() + 1 - (overlap + 1) / (union + 1))
    torch.testing.assert_close(structure_loss(logits, mask), torch.stack(wanted).mean())


def test_false_positives_on_an_empty_target_cost_in_value_and_gradient() -> None:
    # p = .1 .2 .3 .4, no lesion: w = 1. Mean of -ln(1 - p) + 1 - 1 / (1 + 1) = mean + .5.
    prob = [0.1, 0.2, 0.3, 0.4]
    logits = logit([[[prob]]]).requires_grad_()
    loss = structure_loss(logits, torch.zeros(1, 1, 1, 4))
    assert loss.item() == pytest.approx(-sum(math.log(1 - p) for p in prob) / 4 + 0.5)
    (gradient,) = torch.autograd.grad(loss, logits)
    # d/dz = p / 4 + p (1 - p) / (sum p + 1)^2, sum p = 1.
    wanted = [p / 4 + p * (1 - p) / 4 for p in prob]
    assert gradient.flatten().tolist() == pytest.approx(wanted)
    blank = structure_loss(torch.full((1, 1, 8, 8), -30.0), torch.zeros(1, 1, 8, 8))
    assert 0 <= blank.item() < 1e-9


def test_the_loss_of_a_batch_is_the_mean_over_its_slices() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 1, 9, 7, dtype=torch.float64)
    mask = (torch.rand(3, 1, 9, 7) > 0.8).double()
    parts = [structure_loss(a[None], b[None]) for a, b in zip(logits, mask, strict=True)]
    wanted = torch.stack(parts).mean()
    torch.testing.assert_close(structure_loss(logits, mask), wanted)
    torch.testing.assert_close(structure_loss(logits, mask, shared=True), wanted)


def test_a_share_without_slices_has_no_loss_of_its_own() -> None:
    empty = torch.zeros(0, 1, 8, 8, requires_grad=True)
    structure_loss(empty, empty.detach(), shared=True).backward()
    assert empty.grad is not None


def test_gradient() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    mask = (torch.rand(2, 1, 4, 5) > 0.6).double()
    assert torch.autograd.gradcheck(lambda x: structure_loss(x, mask), logits)


def test_half_precision_is_computed_in_float32() -> None:
    logits = torch.full((1, 1, 64, 64), 3.0, dtype=torch.bfloat16)
    mask = torch.zeros(1, 1, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        loss = structure_loss(logits, mask)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, structure_loss(logits.float(), mask))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ"):
        structure_loss(torch.zeros(1, 1, 4, 4), torch.zeros(1, 4, 4))
