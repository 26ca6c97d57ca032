"""Which label a px of the pool gets, whether it counts, and how its file says so."""

from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.image_io import write_png
from losses import create_loss
from training.certainty import decide, leave_out
from training.consistency import consistency_loss
from training.pseudo_batches import ConfidentLoss, settle
from training.pseudo_files import UNSURE, read_pseudo_label, to_grey
from utils.config_loader import load_config
from utils.contracts import SegOutput

SETTINGS = load_config(
    overrides=[
        "semi_supervised.lesion_threshold=0.6",
        "semi_supervised.background_threshold=0.9",
        "semi_supervised.soft_labels=false",
    ]
).semi_supervised
# Of a row of px: background, ground glass, consolidation.
PROB = torch.tensor(
    [[0.95, 0.8, 0.3, 0.1, 0.35], [0.03, 0.1, 0.65, 0.2, 0.45], [0.02, 0.1, 0.05, 0.7, 0.2]]
)[None, :, None]


def test_classes_count_from_their_threshold_on() -> None:
    label, kept = decide(PROB, SETTINGS)
    assert label.flatten().tolist() == [0, 0, 1, 2, 1]
    assert kept.flatten().tolist() == [True, False, True, True, False]


def test_lesion_alone_counts_at_both_ends() -> None:
    label, kept = decide(torch.tensor([0.05, 0.2, 0.5, 0.6, 0.9])[None, None, None], SETTINGS)
    assert label.flatten().tolist() == [0, 0, 1, 1, 1]
    assert kept.flatten().tolist() == [True, False, False, True, True]


@pytest.mark.parametrize("num_classes", [1, 2, 3, 5, 10])
def test_a_file_gives_the_labels_back(tmp_path: Path, num_classes: int) -> None:
    prob = torch.from_numpy(np.random.default_rng(0).dirichlet([0.2] * (num_classes + 1), (8, 9)))
    prob = prob.movedim(-1, 0).float()
    write_png(tmp_path / "label.png", to_grey(prob, SETTINGS))
    label, kept = decide(prob[None], SETTINGS)
    wanted = label.masked_fill(~kept, UNSURE)[0, 0].numpy()
    np.testing.assert_array_equal(read_pseudo_label(tmp_path / "label.png", num_classes), wanted)


def test_px_that_are_left_out_are_sure_background_without_gradient() -> None:
    logits = torch.randn(2, 3, 4, 5, requires_grad=True)
    ignored = torch.zeros(2, 1, 4, 5, dtype=torch.bool)
    ignored[:, :, :2] = True
    left = leave_out(logits, ignored)
    assert torch.softmax(left, 1)[:, 0, :2].min() > 1 - 1e-6
    left.square().sum().backward()
    assert not logits.grad[:, :, :2].any()
    assert logits.grad[:, :, 2:].all()


def test_pseudo_labels_of_classes_become_the_targets_of_their_slices() -> None:
    label = torch.tensor([[[0, 1], [2, 0]], [[0, 1], [2, UNSURE]]])
    batch = {
        "image": torch.zeros(2, 1, 2, 2),
        "mask": label[:, None].clamp(max=1).float(),
        "label": label,
        "edge": torch.zeros(2, 1, 2, 2),
        "lung": torch.zeros(2, 1, 2, 2),
        "is_unlabelled": torch.tensor([False, True]),
        "draw": torch.zeros(2, dtype=torch.int64),
    }
    settled = settle(batch, SETTINGS, 2)
    assert settled["label"].tolist() == [[[0, 1], [2, 0]]] * 2
    assert settled["mask"][1, 0].tolist() == [[0, 1], [1, 0]]
    assert settled["ignored"].flatten().tolist() == [0] * 7 + [1]
    assert settled["edge"][1].any()
    assert batch["label"][1, 1, 1] == UNSURE


@pytest.mark.parametrize("name", ["cross_entropy", "dice"])
def test_a_loss_of_classes_does_not_see_ignored_px(name: str) -> None:
    torch.manual_seed(0)
    label = torch.randint(0, 3, (2, 6, 6))
    ignored = torch.zeros(2, 1, 6, 6)
    ignored[..., :3] = 1
    logits = torch.randn(2, 3, 6, 6, requires_grad=True)
    loss = ConfidentLoss(create_loss(name))
    zeros = torch.zeros(2, 1, 6, 6)

    def value(of: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        batch = {"mask": zeros, "edge": zeros, "lung": zeros, "label": at, "ignored": ignored}
        return loss(SegOutput(of), batch)["total"]

    total = value(logits, label)
    total.backward()
    assert not logits.grad[..., :3].any()
    assert logits.grad[..., 3:].any()
    other = label.clone()
    other[..., :3] = 2 - other[..., :3]
    assert torch.equal(value(logits + 5 * ignored * torch.randn(2, 3, 1, 1), other), total)


def test_consistency_of_classes_is_that_of_its_terms() -> None:
    torch.manual_seed(0)
    logits, kept = torch.randn(2, 3, 4, 4), torch.rand(2, 1, 4, 4) > 0.4
    label = torch.randint(0, 3, (2, 1, 4, 4))
    prob = torch.softmax(logits, 1)
    soft = consistency_loss(logits, PROB[..., :4].expand(2, 3, 4, 4), kept, is_hard=False)
    assert soft == pytest.approx(float((prob - PROB[..., :4]).square().mean()), rel=1e-5)
    hard = consistency_loss(logits, label, kept, is_hard=True)
    entropy = -(prob.gather(1, label).log() * kept).mean()
    overlaps = []
    for k in (1, 2):
        target, own = (label == k) & kept, prob[:, k : k + 1] * kept
        both = 2 * (own * target).sum() + 1
        overlaps.append(1 - both / (own.sum() + target.sum() + 1))
    assert hard == pytest.approx(float(entropy + sum(overlaps) / 2), rel=1e-5)
