import math
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from losses.cross_entropy import CrossEntropyLoss
from models.pspnet import PSPNet, _average_cells
from tests.models.fingerprint import FINGERPRINTS, num_live_parameters, num_parameters
from utils.errors import UserError

AUXILIARY_PARAMETERS = 2_360_065  # 9 * 1024 * 256 weights, 512 of the norm, 257 of the head


def test_every_parameter_is_live_and_their_number_the_published_one() -> None:
    model = PSPNet(in_channels=3)
    total = torch.stack([t.square().mean() for t in model(torch.randn(2, 3, 40, 24)).logits()])
    num_live = num_live_parameters(model, total.sum())
    assert num_live == num_parameters(model) == FINGERPRINTS["pspnet50"]["params_live"]
    assert num_live == 49_066_178


@pytest.mark.parametrize(
    ("arguments", "num"),
    [
        ({}, 49_066_178 - 1_152),  # one input channel instead of three: 2 * 9 * 64 weights fewer
        ({"depth": 101, "in_channels": 3}, 68_058_306),
        ({"in_channels": 3, "auxiliary": False}, 49_066_178 - AUXILIARY_PARAMETERS),
        ({"in_channels": 3, "num_classes": 3}, 49_066_178 + 2 * 513 + 2 * 257),
    ],
)
def test_parameter_counts_of_the_family(arguments: dict, num: int) -> None:
    with torch.device("meta"):
        assert num_parameters(PSPNet(**arguments)) == num


@pytest.mark.parametrize(("height", "width"), [(32, 32), (5, 7), (13, 6), (1, 3)])
def test_cells_are_those_of_adaptive_pooling_in_values_and_gradients(
    height: int, width: int
) -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 3, height, width, dtype=torch.float64, requires_grad=True)
    for bins in (1, 2, 3, 6):
        ours, theirs = _average_cells(features, bins), F.adaptive_avg_pool2d(features, bins)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
        weights = torch.randn_like(ours)
        gradients = [torch.autograd.grad((x * weights).sum(), features) for x in (ours, theirs)]
        torch.testing.assert_close(*gradients, rtol=0, atol=1e-14)


@torch.no_grad()
def test_any_size_and_number_of_classes_gives_logits_at_the_input_size() -> None:
    output = PSPNet(num_classes=3).eval()(torch.randn(1, 1, 41, 66))
    assert [tuple(t.shape) for t in output.logits()] == [(1, 3, 41, 66)] * 2
    assert (len(output.semantic), output.edge, output.lung) == (1, (), None)


def test_heads_and_own_loss_follow_the_auxiliary_head() -> None:
    with torch.device("meta"):
        full, plain = PSPNet(), PSPNet(auxiliary=False)
        output = plain(torch.zeros(2, 1, 16, 16))
    assert (full.heads, full.own_loss_args) == ({"mask", "semantic"}, {"side_weight": 0.4})
    assert (plain.heads, plain.own_loss_args) == ({"mask"}, {"side_weight": 0.0})
    assert output.semantic == ()


def test_own_loss_weighs_the_auxiliary_output_with_0_4() -> None:
    model = PSPNet()
    for head in (model.head, model.auxiliary_head):
        nn.init.zeros_(head[-1].weight)
        nn.init.zeros_(head[-1].bias)
    terms = CrossEntropyLoss(**model.own_loss_args)(
        model(torch.randn(2, 1, 16, 16)), {"mask": torch.ones(2, 1, 16, 16)}
    )
    # Logits of 0 are probabilities of 1/2: log 2 per output, 1 + 0.4 of them.
    assert terms["total"].item() == pytest.approx(1.4 * math.log(2), abs=1e-6)


def residual_weights(model: PSPNet) -> torch.Tensor:
    return torch.cat([block.bn3.weight for stage in model.encoder.stages for block in stage])


def test_residual_branches_start_at_full_weight_or_as_trained(tmp_path: Path) -> None:
    donor = timm.create_model("resnet50s")
    for module in donor.modules():
        if hasattr(module, "bn3"):
            nn.init.constant_(module.bn3.weight, 0.25)
    torch.save(donor.state_dict(), tmp_path / "resnet50s.pth")
    assert (residual_weights(PSPNet()) == 1).all()
    assert (residual_weights(PSPNet(pretrained=str(tmp_path / "resnet50s.pth"))) == 0.25).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 34}, "model.args.depth: 34 is not one of 50, 101, 152"),
        ({"pretrained": "no.pth"}, "model.args.pretrained: no file no.pth"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        PSPNet(**arguments)
