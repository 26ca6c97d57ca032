"""Losses of several classes: by hand, against the binary ones, weighted, on empty targets."""

import math

import pytest
import torch
from torch import Tensor

from losses import LOSSES, create_loss
from losses.cross_entropy import bce_loss, class_cross_entropy
from losses.dice import class_dice_loss, dice_loss
from tests.training.process_pair import ProcessPair
from utils.contracts import SegOutput
from utils.errors import UserError

OF_CLASSES = ("acfnet", "bce_dice", "cpfnet", "cross_entropy", "dice", "joint")


def draw(num_classes: int = 3, count: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(count, num_classes, 5, 6, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, num_classes, (count, 5, 6), generator=generator)


def draw_batch(num_classes: int) -> tuple[SegOutput, dict]:
    logits, label = draw(num_classes)
    sides = (logits.flip(2), logits.flip(3))
    edge = logits[:, :1].flip(2)
    output = SegOutput(mask=logits, edge=(edge,), semantic=sides)
    target = (label > 0).double()[:, None]
    return output, {"mask": target, "label": label, "edge": target.flip(2)}


def test_dice_of_classes_by_hand() -> None:
    # Four px of classes 0, 1, 1, 2; logits that leave p = 1/2 for two classes each.
    big = 50.0
    logits = torch.tensor([[big, big, 0, 0], [big, big, big, 0], [0, 0, big, big]]).view(1, 3, 1, 4)
    label = torch.tensor([[[0, 1, 1, 2]]])
    # p_1 = 1/2, 1/2, 1/2, 0: overlap 1, sum 1.5 + 2; p_2 = 0, 0, 1/2, 1: overlap 1, sum 1.5 + 1.
    one, two = 1 - (2 * 1 + 1) / (3.5 + 1), 1 - (2 * 1 + 1) / (2.5 + 1)
    found = class_dice_loss(logits, label)
    assert found.item() == pytest.approx((one + two) / 2)
    weighted = class_dice_loss(logits, label, class_weights=[3.0, 1.0])
    assert weighted.item() == pytest.approx((3 * one + two) / 4)
    # Px of the classes 2 and 1: class 2 weighs twice as much.
    balanced = class_dice_loss(logits, label, class_weights="balanced")
    assert balanced.item() == pytest.approx((one + 2 * two) / 3)
    # p_0 = 1/2, 1/2, 0, 0: overlap 1/2, sum 1 + 1; a third of the mean, however the others weigh.
    background = 1 - (2 * 0.5 + 1) / (2 + 1)
    of_all = class_dice_loss(logits, label, with_background=True)
    assert of_all.item() == pytest.approx((background + one + two) / 3)
    of_all = class_dice_loss(logits, label, class_weights=[3.0, 1.0], with_background=True)
    assert of_all.item() == pytest.approx(background / 3 + 2 / 3 * (3 * one + two) / 4)


def test_cross_entropy_of_classes_by_hand() -> None:
    logits = torch.zeros(1, 3, 1, 4)
    logits[0, 2, 0, 3] = math.log(2)  # p of the last px: 1/4, 1/4, 1/2
    label = torch.tensor([[[0, 0, 1, 2]]])
    each = [math.log(3)] * 3 + [math.log(2)]
    assert class_cross_entropy(logits, label).item() == pytest.approx(sum(each) / 4)
    given = class_cross_entropy(logits, label, class_weights=[2.0, 3.0])
    expected = (1 * each[0] + 1 * each[1] + 2 * each[2] + 3 * each[3]) / 7
    assert given.item() == pytest.approx(expected)
    # Each class has the same part: two px of weight 1/2, one of 1, one of 1.
    balanced = class_cross_entropy(logits, label, class_weights="balanced")
    assert balanced.item() == pytest.approx((each[0] + each[2] + each[3]) / 3)


@pytest.mark.parametrize("reduction", ["batch", "image"])
def test_two_channels_are_the_sigmoid_of_their_difference(reduction: str) -> None:
    logits, label = draw(num_classes=2)
    difference, target = logits[:, 1:] - logits[:, :1], (label == 1).double()[:, None]
    torch.testing.assert_close(
        class_dice_loss(logits, label, reduction=reduction),
        dice_loss(difference, target, reduction=reduction),
    )
    torch.testing.assert_close(class_cross_entropy(logits, label), bce_loss(difference, target))


@pytest.mark.parametrize("name", OF_CLASSES)
def test_gradients_are_those_of_the_value(name: str) -> None:
    output, batch = draw_batch(3)
    loss = create_loss(name)

    def total(mask: Tensor, side: Tensor) -> Tensor:
        return loss(output._replace(mask=mask, semantic=(side, side)), batch)["total"]

    mask, side = output.mask.requires_grad_(), output.semantic[0].clone().requires_grad_()
    assert torch.autograd.gradcheck(total, (mask, side))


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        *((name, None) for name in OF_CLASSES),
        *((name, "balanced") for name in OF_CLASSES if name != "cpfnet"),  # which takes none
        ("joint", [1.0, 2.0]),
        ("cross_entropy", [1.0, 2.0]),
    ],
)
def test_false_positives_are_punished_where_nothing_is_lesion(name: str, weights: object) -> None:
    output, batch = draw_batch(3)
    batch |= {key: torch.zeros_like(batch[key]) for key in ("mask", "label", "edge")}
    logits = output.mask.requires_grad_()
    loss = create_loss(name, **({} if weights is None else {"class_weights": weights}))
    loss(output, batch)["total"].backward()
    # More background everywhere; of two classes one may give way to the other meanwhile.
    assert (logits.grad[:, 0] < 0).all()


def test_all_other_losses_say_that_they_take_no_classes() -> None:
    assert {name for name, loss in LOSSES.items() if getattr(loss, "takes_classes", False)} == {
        *OF_CLASSES
    }


def test_a_side_output_of_one_map_is_of_any_lesion() -> None:
    output, batch = draw_batch(3)
    one_map = output.semantic[0][:, :1]
    terms = create_loss("joint")(output._replace(semantic=(one_map,)), batch)
    torch.testing.assert_close(terms["semantic"], dice_loss(one_map, batch["mask"]))
    torch.testing.assert_close(terms["edge"], dice_loss(output.edge[0], batch["edge"]))
    whole = class_dice_loss(output.mask, batch["label"], with_background=True)
    torch.testing.assert_close(terms["fusion"], whole)


@pytest.mark.parametrize("name", ["dice", "joint"])
def test_the_background_is_not_given_to_a_class_without_px(name: str) -> None:
    torch.manual_seed(0)
    label = torch.zeros(2, 16, 16, dtype=torch.int64)
    label[:, 4:8, 4:8] = 1  # and no px of class 2
    batch = {
        "mask": (label > 0).float()[:, None],
        "label": label,
        "edge": torch.zeros(2, 1, 16, 16),
    }
    logits = torch.zeros(2, 3, 16, 16)
    logits[:, 2] = 2.0
    logits.requires_grad_()
    optimizer = torch.optim.SGD([logits], lr=2000.0)
    for _ in range(100):
        output = SegOutput(logits, edge=(torch.zeros(2, 1, 16, 16),), semantic=(logits,))
        loss = create_loss(name)(output, batch)["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(logits.argmax(dim=1), label)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 1.0, 1.0]])
def test_not_one_weight_per_class_is_refused(weights: list[float]) -> None:
    output, batch = draw_batch(3)
    for name in ("dice", "cross_entropy"):
        with pytest.raises(UserError, match=f"class_weights: {len(weights)} for 2 classes"):
            create_loss(name, class_weights=weights)(output, batch)


@pytest.mark.parametrize("weights", [[-1.0, 1.0], [0.0, 0.0], [math.nan, 1.0]])
def test_weights_out_of_range_are_refused(weights: list[float]) -> None:
    with pytest.raises(UserError, match=r"loss\.args\.class_weights: must not be negative"):
        create_loss("dice", class_weights=weights)


def loss_of(start: int, end: int, shared: bool) -> dict[str, Tensor]:
    logits, label = draw(count=3)
    logits, label = logits[start:end].clone().requires_grad_(), label[start:end]
    losses = [
        function(logits, label, class_weights=weights, shared=shared)
        for function in (class_dice_loss, class_cross_entropy)
        for weights in (None, "balanced", [1.0, 2.0])
    ]
    loss = torch.stack(losses)
    loss.sum().backward()
    return {"loss": loss.detach(), "gradient": logits.grad}


def loss_of_share(rank: int) -> dict[str, Tensor]:
    return loss_of(*((0, 1), (1, 3))[rank], shared=True)


@pytest.mark.slow
def test_two_processes_have_the_loss_of_the_whole_batch(process_pair: ProcessPair) -> None:
    expected = loss_of(0, 3, shared=False)
    first, second = process_pair.run(loss_of_share)
    for own in (first, second):
        torch.testing.assert_close(own["loss"], expected["loss"])
    gradient = torch.cat([first["gradient"], second["gradient"]]) / 2
    torch.testing.assert_close(gradient, expected["gradient"])
