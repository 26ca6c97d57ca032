from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.models import get_model

from losses.coeranet import CoERANetLoss
from models.coeranet import TRUNKS, CoERANet, RegionFusionAttention
from tests.models.arrangements import PublishedCoERANet
from tests.models.fingerprint import FINGERPRINTS, num_parameters
from utils.contracts import Batch
from utils.errors import UserError

SMALL = {"trunk": "resnet18"}
BASELINE = {"lung_flow": False, "region_fusion": False}


def batch_for(image: Tensor) -> Batch:
    """Targets with both classes; every slice with a lung mask."""
    mask = torch.zeros_like(image[:, :1])
    mask[..., 4:20, 4:20] = 1
    return {"mask": mask, "lung": 1 - mask, "has_lung": torch.ones(len(image), dtype=torch.bool)}


@pytest.mark.parametrize(
    ("trunk", "params_live", "widths"),
    [
        ("convnext_small", FINGERPRINTS["coeranet"]["params_live"], (384, 192, 96)),
        ("resnet50", 44_604_244, (512, 256, 64)),
    ],
)
def test_parameters_are_those_that_the_published_network_trains(
    trunk: str, params_live: int, widths: tuple[int, ...]
) -> None:
    with torch.device("meta"):
        published, model = PublishedCoERANet(trunk), CoERANet(in_channels=3, trunk=trunk)
    # Biases before a batch norm: each of the six blocks has two flows and two dilated branches.
    biases = 2 * 4 * sum(widths)
    assert num_parameters(published) == params_live - biases
    # The rate 3 with its batch norm in each block.
    branches = sum(2 * (9 * c * c + 2 * c) for c in widths)
    assert num_parameters(model) == params_live - biases + branches


def test_parameter_counts_are_pinned() -> None:
    with torch.device("meta"):
        rows = [CoERANet(**BASELINE), CoERANet(region_fusion=False), CoERANet()]
    assert [num_parameters(row) for row in rows] == [56_423_716, 63_394_472, 73_901_876]
    # Twice each: lung convolutions 2 c -> c of 3x3 with batch norm; and four lung heads.
    widths = (384, 192, 96)
    lung = sum(2 * (18 * c * c + 2 * c) for c in widths) + 96 + 1
    lung += sum(c + 1 for c in widths)
    assert lung == 63_394_472 - 56_423_716
    # Twice each attention: three branches, two maps of 3x3 from c and from 3 c channels.
    attention = sum(2 * (3 * (9 * c * c + 2 * c) + 9 * c + 1 + 27 * c + 1) for c in widths)
    assert attention == 73_901_876 - 63_394_472


@pytest.mark.parametrize("trunk", ["convnext_tiny", "resnet18", "resnet101"])
@pytest.mark.parametrize("switches", [BASELINE, {"region_fusion": False}, {}])
def test_every_switch_gives_logits_at_the_input_size(trunk: str, switches: dict) -> None:
    with torch.device("meta"):
        model = CoERANet(trunk=trunk, **switches)
        output = model(torch.zeros(2, 1, 96, 64))
    assert output.mask.shape == (2, 1, 96, 64)
    assert [tuple(side.shape) for side in output.semantic] == [(2, 1, 96, 64)] * 3
    has_lung = switches.get("lung_flow", True)
    assert (output.lung is not None) == has_lung
    assert len(output.lung_sides) == (3 if has_lung else 0)
    assert output.edge == ()
    assert output.maps == {}


def test_heads_and_loss_follow_the_lung_flow() -> None:
    full, baseline = CoERANet(**SMALL), CoERANet(**SMALL, **BASELINE)
    assert full.heads == {"mask", "semantic", "lung"}
    assert baseline.heads == {"mask", "semantic"}
    for model in (full, baseline):
        assert CoERANetLoss(**model.own_loss_args).required_heads == model.heads


def test_more_classes_leave_the_side_outputs_binary() -> None:
    output = CoERANet(**SMALL, num_classes=3, in_channels=2)(torch.randn(2, 2, 32, 48))
    assert output.mask.shape == (2, 3, 32, 48)
    assert output.lung.shape == output.semantic[0].shape == (2, 1, 32, 48)


@pytest.mark.parametrize("switches", [BASELINE, {"region_fusion": False}, {}])
def test_every_parameter_gets_a_gradient_under_its_own_loss(switches: dict) -> None:
    torch.manual_seed(0)
    model = CoERANet(**SMALL, **switches)
    picture = torch.randn(2, 1, 64, 32)
    loss = CoERANetLoss(**model.own_loss_args)(model(picture), batch_for(picture))
    loss["total"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("trunk", ["convnext_tiny", "resnet18"])
def test_smallest_size_runs_in_training(trunk: str) -> None:
    model = CoERANet(trunk=trunk)
    side = model.min_size
    output = model(torch.randn(2, 1, side, side))
    assert output.mask.isfinite().all()
    with pytest.raises(UserError, match=f"multiples of {model.stride}"):
        model(torch.zeros(2, 1, side + 1, side))


def test_flows_do_not_touch_without_the_attention() -> None:
    torch.manual_seed(0)
    model = CoERANet(**SMALL, region_fusion=False)
    names = {name.split(".")[2] for name, _ in model.blocks.named_parameters()}
    picture = torch.randn(2, 1, 32, 32)
    model(picture).mask.sum().backward()
    without = [name for name, p in model.blocks.named_parameters() if p.grad is None]
    assert names == {"0", "1"}
    assert without == [n for n, _ in model.blocks.named_parameters() if ".lung." in n]


def test_attention_by_hand_of_constant_maps() -> None:
    module = RegionFusionAttention(1).eval()
    for name, parameter in module.named_parameters():
        # Batch norms in evaluation mode start as the identity, to eps.
        if parameter.ndim == 4:
            torch.nn.init.zeros_(parameter)
            parameter.data[..., 1, 1] = 1
        elif name in ("region.bias", "fusion.bias"):
            torch.nn.init.zeros_(parameter)
    lung, infection = torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 2.0)
    features, (region, fusion) = module(lung, infection)
    # a = sigmoid(0) = 1/2; a V = 1; r = 1 + 1 + 1, without a sigmoid; r V = 6.
    torch.testing.assert_close(region, torch.full_like(region, 0.5))
    torch.testing.assert_close(fusion, torch.full_like(fusion, 3.0), rtol=1e-4, atol=0)
    torch.testing.assert_close(features, torch.full_like(features, 6.0), rtol=1e-4, atol=0)
    assert [branch[0].dilation for branch in module.branches] == [(1, 1), (3, 3), (5, 5)]


def test_maps_come_on_request_and_change_nothing() -> None:
    model, picture = CoERANet(**SMALL).eval(), torch.randn(1, 1, 32, 48)
    output = model(picture, with_maps=True)
    assert set(output.maps) == {"region attention", "fusion attention"}
    assert {tuple(values.shape) for values in output.maps.values()} == {(1, 1, 32, 48)}
    assert torch.equal(output.mask, model(picture).mask)
    assert CoERANet(**SMALL, **BASELINE).eval()(picture, with_maps=True).maps == {}


@pytest.mark.parametrize("trunk", ["convnext_tiny", "resnet18"])
def test_trunk_takes_torchvision_weights(trunk: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    donor = get_model(trunk)
    torch.save(donor.state_dict(), tmp_path / "trunk.pth")
    model = CoERANet(trunk=trunk, pretrained=str(tmp_path / "trunk.pth")).trunk
    if trunk == "resnet18":
        assert torch.equal(model.stages[2][1].conv2.weight, donor.layer3[1].conv2.weight)
    else:
        assert torch.equal(model.stages[3][0][1].weight, donor.features[6][1].weight)
        # Grey: the sum over the colours.
        wanted = donor.features[0][0].weight.sum(dim=1, keepdim=True)
        torch.testing.assert_close(model.stages[0][0][0].weight, wanted)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"trunk": "convnext"}, "model.args.trunk: 'convnext' is not one of convnext_tiny"),
        ({"lung_flow": False}, "model.args.region_fusion: the attention reads the lung flow"),
        ({"trunk": "resnet18", "pretrained": "no.pth"}, "model.args.pretrained: no file no.pth"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        CoERANet(**arguments)


def test_every_trunk_is_built() -> None:
    with torch.device("meta"):
        strides = {trunk: CoERANet(trunk=trunk).stride for trunk in TRUNKS}
    assert set(strides.values()) == {16, 32}
