import pytest
import torch

from losses import create_loss, dice_loss
from models import create_model
from training.builders import check_heads
from utils.contracts import SegOutput
from utils.errors import UserError


@pytest.fixture
def case() -> tuple[SegOutput, dict]:
    """Two edge and three semantic side outputs on 2 x 1 x 6 x 6, float64, that want gradients."""
    torch.manual_seed(0)
    logits = [torch.randn(2, 1, 6, 6, dtype=torch.float64, requires_grad=True) for _ in range(6)]
    batch = {
        "mask": (torch.rand(2, 1, 6, 6) > 0.5).double(),
        "edge": (torch.rand(2, 1, 6, 6) > 0.7).double(),
    }
    return SegOutput(logits[0], edge=tuple(logits[1:3]), semantic=tuple(logits[3:])), batch


def test_total_is_equation_6(case: tuple[SegOutput, dict]) -> None:
    output, batch = case
    terms = create_loss("joint")(output, batch)
    edge = sum(dice_loss(s, batch["edge"]) for s in output.edge)
    semantic = sum(dice_loss(s, batch["mask"]) for s in output.semantic)
    fusion = dice_loss(output.mask, batch["mask"])
    assert list(terms) == ["edge", "semantic", "fusion", "total"]
    torch.testing.assert_close(terms["edge"], edge)
    torch.testing.assert_close(terms["semantic"], semantic)
    torch.testing.assert_close(terms["fusion"], fusion)
    torch.testing.assert_close(terms["total"], 0.8 * edge + 0.4 * semantic + fusion)


def test_gradient_equals_the_printed_equations_1_2_5_6(case: tuple[SegOutput, dict]) -> None:
    output, batch = case

    def ratio(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        prob = torch.sigmoid(logits)
        return (prob * target).sum() / (prob.sum() + target.sum())

    edge = 1 - 2 * sum(ratio(s, batch["edge"]) for s in output.edge)
    semantic = 1 - 2 * sum(ratio(s, batch["mask"]) for s in output.semantic)
    fusion = 1 - 2 * ratio(output.mask, batch["mask"])
    printed = 0.8 * edge + 0.4 * semantic + fusion
    ours = create_loss("joint", smooth=1e-12)(output, batch)["total"]
    logits = [output.mask, *output.edge, *output.semantic]
    wanted = torch.autograd.grad(printed, logits)
    found = torch.autograd.grad(ours, logits)
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)
    # Ours lies above by 0.8 * (2 - 1) + 0.4 * (3 - 1) = 1.6.
    assert (ours - printed).item() == pytest.approx(1.6, abs=1e-9)


def test_value_is_never_negative_where_the_printed_form_is() -> None:
    perfect = torch.full((1, 1, 4, 4), 30.0, dtype=torch.float64)
    output = SegOutput(perfect, edge=(perfect,) * 2, semantic=(perfect,) * 3)
    batch = {"mask": torch.ones(1, 1, 4, 4), "edge": torch.ones(1, 1, 4, 4)}
    total = create_loss("joint")(output, batch)["total"].item()
    assert 0 <= total < 1e-9


def test_stage_weights_scale_their_own_side_output(case: tuple[SegOutput, dict]) -> None:
    output, batch = case
    loss = create_loss("joint", edge_weights=[0.0, 2.0], semantic_weights=[1.0, 0.0, 0.5])
    terms = loss(output, batch)
    torch.testing.assert_close(terms["edge"], 2 * dice_loss(output.edge[1], batch["edge"]))
    wanted = dice_loss(output.semantic[0], batch["mask"])
    wanted = wanted + 0.5 * dice_loss(output.semantic[2], batch["mask"])
    torch.testing.assert_close(terms["semantic"], wanted)
    with pytest.raises(UserError, match="3 side output weights for 2"):
        create_loss("joint", edge_weights=[1.0, 1.0, 1.0])(output, batch)


def test_every_parameter_of_the_network_gets_a_gradient_under_the_joint_loss() -> None:
    torch.manual_seed(0)
    model = create_model("resunet", width=4, depth=18)
    batch = {"mask": torch.ones(2, 1, 32, 32), "edge": torch.ones(2, 1, 32, 32)}
    create_loss("joint")(model(torch.randn(2, 1, 32, 32)), batch)["total"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_a_head_that_the_loss_needs_and_the_network_lacks_is_refused() -> None:
    plain = create_model(
        "resunet", width=4, depth=18, edge_stages=(), semantic_stages=(), fusion="none"
    )
    with pytest.raises(UserError, match="edge, semantic side outputs, which this network lacks"):
        check_heads(plain, create_loss("joint"))
    assert check_heads(plain, create_loss("joint", theta=0, beta=0)) == []
    full = create_model("resunet", width=4, depth=18)
    assert check_heads(full, create_loss("dice")) == ["edge", "semantic"]
    assert check_heads(full, create_loss("joint")) == []


def test_the_lung_term_counts_slices_with_a_lung_mask_alone(case: tuple[SegOutput, dict]) -> None:
    output, batch = case
    lung = torch.randn(2, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    target = torch.zeros(2, 1, 6, 6).double()
    target[0, :, 1:4, 1:4] = 1
    batch |= {"lung": target, "has_lung": torch.tensor([True, False])}
    loss = create_loss("joint", lung=0.5)
    assert loss.required_heads == {"mask", "edge", "semantic", "lung"}
    terms = loss(output._replace(lung=lung), batch)
    torch.testing.assert_close(terms["lung"], dice_loss(lung[:1], target[:1]))
    without = create_loss("joint")(output, batch)["total"]
    torch.testing.assert_close(terms["total"], without + 0.5 * terms["lung"])
    (gradient,) = torch.autograd.grad(terms["total"], lung)
    assert gradient[0].abs().min() > 0
    assert gradient[1].abs().max() == 0
    nobody = batch | {"lung": target * 0, "has_lung": torch.tensor([False, False])}
    assert loss(output._replace(lung=lung), nobody)["lung"] == 0
