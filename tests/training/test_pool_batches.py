"""Batches of labelled and unlabelled slices, strong views, and losses of the px that count."""

import pytest
import torch

from losses import create_loss
from tests.training.small_steps import disc_batch
from training.consistency import consistency_loss, ramp
from training.pool import MixedBatches
from training.pseudo_batches import ConfidentLoss, settle
from training.strong_view import cut_boxes, exchange, strong_view
from utils.config_loader import load_config
from utils.config_semi_supervised import StrongConfig
from utils.contracts import SegOutput

STRONG = StrongConfig(brightness=0.5, contrast=0.5, noise=0.2, blur=2.0)


def test_an_epoch_goes_through_the_larger_set_and_the_smaller_again_and_again() -> None:
    batches = MixedBatches((5, 17), (2, 4), seed=3)
    batches.set_epoch(1)
    found = list(batches)
    assert len(found) == len(batches) == 4  # 17 // 4
    assert all(len(batch) == 6 for batch in found)
    pool = [key.index for batch in found for key in batch[2:]]
    assert len(set(pool)) == 16
    assert set(pool) < set(range(5, 22))
    labelled = [key.index for batch in found for key in batch[:2]]
    assert len(set(labelled[:4])) == 4
    assert set(labelled) <= set(range(5))
    batches.set_epoch(1, first_step=2)
    assert list(batches) == found[2:]
    batches.set_epoch(2)
    assert list(batches) != found


def test_the_shares_of_two_processes_are_the_batch_of_one() -> None:
    whole, *shares = (
        MixedBatches((5, 17), (2, 4), 3, rank, size) for rank, size in ((0, 1), (0, 2), (1, 2))
    )
    for batches in (whole, *shares):
        batches.set_epoch(1)
    for batch, one, two in zip(whole, *shares, strict=True):
        assert batch == [*one[:1], *two[:1], *one[1:], *two[1:]]


def test_fewer_labels_than_a_batch_wants_are_all_taken() -> None:
    batches = MixedBatches((3, 8), (8, 4), seed=0)
    batches.set_epoch(1)
    assert [len(batch) for batch in batches] == [7, 7]


def test_a_strong_view_depends_on_the_slices_own_draw_alone() -> None:
    images, draws = torch.randn(4, 1, 32, 32), torch.tensor([5, 6, 7, 8])
    views = strong_view(images, draws, STRONG)
    assert not torch.equal(views, images)
    alone = [strong_view(images[i : i + 1], draws[i : i + 1], STRONG) for i in range(4)]
    assert torch.equal(views, torch.cat(alone))
    still = StrongConfig(brightness=0, contrast=0, noise=0, blur=0)
    assert strong_view(images, draws, still) is images


def test_pairs_exchange_the_same_box() -> None:
    draws = torch.arange(5)
    boxes = cut_boxes(torch.Size((5, 1, 32, 48)), draws, 1.0)
    assert torch.equal(boxes[0], boxes[1])
    assert torch.equal(boxes[2], boxes[3])
    assert not torch.equal(boxes[0], boxes[2])
    assert not boxes[4].any()
    assert 0.05 < boxes[0].float().mean() < 0.6
    values = torch.arange(5.0)[:, None, None, None].expand(5, 1, 32, 48)
    mixed = exchange(values, boxes)
    assert (mixed[0][boxes[0]] == 1).all()
    assert (mixed[1][boxes[0]] == 0).all()
    assert (mixed[0][~boxes[0]] == 0).all()
    assert not cut_boxes(torch.Size((4, 1, 32, 32)), draws, 0.0).any()


def test_the_ramp_rises_from_exp_minus_5_to_1() -> None:
    assert ramp(0, 10) == pytest.approx(0.006738, abs=1e-6)
    assert ramp(5, 10) == pytest.approx(0.286505, abs=1e-6)  # exp(-5 / 4)
    assert ramp(10, 10) == ramp(11, 10) == ramp(0, 0) == 1


def test_a_hard_consistency_counts_kept_px_over_all_px() -> None:
    logits = torch.zeros(1, 1, 2, 2, requires_grad=True)
    target = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    kept = torch.tensor([[[[True, False], [False, False]]]])
    loss = consistency_loss(logits, target, kept, is_hard=True)
    # ln 2 / 4 of the one px; Dice 1 - (2 * 0.5 + 1) / (0.5 + 1 + 1)
    assert loss.item() == pytest.approx(0.693147 / 4 + 0.2, abs=1e-5)
    loss.backward()
    assert (logits.grad[~kept] == 0).all()
    assert logits.grad[0, 0, 0, 0] < 0


def test_a_soft_consistency_is_the_mean_squared_difference() -> None:
    logits, target = torch.zeros(2, 1, 2, 2), torch.full((2, 1, 2, 2), 0.8)
    loss = consistency_loss(logits, target, torch.ones_like(target) > 0, is_hard=False)
    assert loss.item() == pytest.approx(0.09)


@pytest.mark.parametrize("name", ["joint", "dice", "bce_dice", "infnet"])
def test_ignored_px_have_no_gradient_under_any_loss(name: str) -> None:
    batch = disc_batch()
    batch["ignored"] = torch.zeros_like(batch["mask"])
    batch["ignored"][:, :, :12] = 1
    maps = [torch.randn_like(batch["mask"]).requires_grad_() for _ in range(9)]
    output = SegOutput(mask=maps[0], edge=tuple(maps[1:3]), semantic=tuple(maps[3:7]))
    if name == "infnet":
        output = output._replace(edge=tuple(maps[1:2]))
    loss = ConfidentLoss(create_loss(name))
    loss(output, batch)["total"].backward()
    grads = [m.grad for m in maps if m.grad is not None]
    assert grads
    for grad in grads:
        assert grad[:, :, :12].abs().max() < 1e-9
        assert grad[:, :, 12:].abs().max() > 1e-7
    plain = {key: value for key, value in batch.items() if key != "ignored"}
    assert loss(output, plain)["total"] == loss.loss(output, plain)["total"]


def test_pseudo_labels_become_targets_and_doubtful_px_are_marked() -> None:
    settings = load_config().semi_supervised.model_copy(
        update={"lesion_threshold": 0.8, "background_threshold": 0.9, "soft_labels": True}
    )
    batch = disc_batch(count=2) | {"is_unlabelled": torch.tensor([False, True])}
    batch["draw"], own = torch.tensor([0, 9]), batch["mask"][0].clone()
    batch["mask"][1] = 0
    batch["mask"][1, 0, 8:16, 8:16] = 230  # .902
    batch["mask"][1, 0, 20:24] = 100  # .392
    settled = settle(batch, settings, edge_width=2)
    assert torch.equal(settled["mask"][0], own)
    assert settled["ignored"][0].sum() == 0
    assert settled["mask"][1, 0, 10, 10] == pytest.approx(230 / 255)
    assert (settled["ignored"][1, 0, 20:24] == 1).all()
    assert settled["ignored"][1].sum() == 4 * 32
    assert settled["edge"][1, 0, 8, 8:16].sum() == 8
    assert settled["edge"][1, 0, 20:24].sum() == 0
    hard = settle(batch, settings.model_copy(update={"soft_labels": False}), edge_width=2)
    assert set(hard["mask"].unique().tolist()) == {0.0, 1.0}
