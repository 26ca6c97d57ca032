import math

import pytest
import torch

from losses.acfnet import ACFNetLoss
from utils.contracts import SegOutput
from utils.errors import UserError


def output_of(*logits: float) -> SegOutput:
    """Constant maps of final, coarse and auxiliary logits."""
    mask, *semantic = (torch.full((2, 1, 4, 4), x, dtype=torch.float64) for x in logits)
    return SegOutput(mask=mask, semantic=tuple(semantic))


def test_weighted_cross_entropies_by_hand() -> None:
    # Logits log 3, 0, -log 3 are probabilities 3/4, 1/2, 1/4; every pixel is foreground.
    output = output_of(math.log(3), 0.0, -math.log(3))
    terms = ACFNetLoss()(output, {"mask": torch.ones(2, 1, 4, 4)})
    assert terms["mask"].item() == pytest.approx(-math.log(3 / 4))
    assert terms["coarse"].item() == pytest.approx(-math.log(1 / 2))
    assert terms["auxiliary"].item() == pytest.approx(-math.log(1 / 4))
    # 0.7 x 0.287682 + 0.6 x 0.693147 + 0.4 x 1.386294 = 0.201377 + 0.415888 + 0.554518.
    assert terms["total"].item() == pytest.approx(1.171783, abs=1e-6)


def test_empty_target_punishes_false_positives_in_value_and_gradient() -> None:
    logits = torch.zeros(3, 2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    output = SegOutput(mask=logits[0], semantic=(logits[1], logits[2]))
    total = ACFNetLoss()(output, {"mask": torch.zeros(2, 1, 4, 4)})["total"]
    # -log(1 - 1/2) for each map.
    assert total.item() == pytest.approx(1.7 * math.log(2))
    total.backward()
    # w p / pixels, p = 1/2, 2 x 16 pixels.
    for gradient, weight in zip(logits.grad, (0.7, 0.6, 0.4), strict=True):
        torch.testing.assert_close(gradient, torch.full_like(gradient, weight / 64))
    blank = ACFNetLoss()(output_of(-40, -40, -40), {"mask": torch.zeros(2, 1, 4, 4)})["total"]
    assert blank.item() == pytest.approx(0, abs=1e-12)


def test_gradient_is_that_of_the_value() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 2, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = (torch.rand(2, 1, 3, 4) > 0.5).double()

    def total(maps: torch.Tensor) -> torch.Tensor:
        output = SegOutput(mask=maps[0], semantic=(maps[1], maps[2]))
        return ACFNetLoss()(output, {"mask": mask})["total"]

    assert torch.autograd.gradcheck(total, logits)


def test_required_heads_and_terms_follow_the_weights() -> None:
    assert ACFNetLoss().required_heads == {"mask", "semantic"}
    loss = ACFNetLoss(mask_weight=1.0, coarse_weight=0.0, auxiliary_weight=0.0)
    assert loss.required_heads == {"mask"}
    terms = loss(output_of(0.0), {"mask": torch.ones(2, 1, 4, 4)})
    assert set(terms) == {"mask", "total"}
    assert terms["total"].item() == pytest.approx(math.log(2))
    terms = ACFNetLoss(coarse_weight=0.0)(output_of(0, 0, 0), {"mask": torch.ones(2, 1, 4, 4)})
    assert set(terms) == {"mask", "auxiliary", "total"}


def test_a_network_with_other_side_outputs_is_refused() -> None:
    with pytest.raises(UserError, match="1 semantic side outputs"):
        ACFNetLoss()(output_of(0, 0), {"mask": torch.ones(2, 1, 4, 4)})


@pytest.mark.parametrize(
    "arguments",
    [
        {"mask_weight": 0.0},
        {"mask_weight": -1.0},
        {"coarse_weight": -0.1},
        {"auxiliary_weight": float("nan")},
    ],
)
def test_wrong_weights_are_named(arguments: dict) -> None:
    with pytest.raises(UserError, match=f"loss.args.{next(iter(arguments))}"):
        ACFNetLoss(**arguments)
