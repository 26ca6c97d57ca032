from pathlib import Path

import pytest
import timm
import torch

from losses.acfnet import ACFNetLoss
from models.acfnet import ACFNet, AttentionalClassFeature
from tests.models.fingerprint import FINGERPRINTS, num_parameters
from utils.errors import UserError

# ECA gates: one kernel of 3 per block of ResNet-50 and -101. The bias before a batch norm: 512.
GATES_50, GATES_101, BIAS = 16 * 3, 33 * 3, 512


def test_parameter_counts_are_pinned() -> None:
    with torch.device("meta"):
        r50, r101 = ACFNet(in_channels=3, depth=50), ACFNet(in_channels=3)
        default = ACFNet()
    assert num_parameters(r50) == FINGERPRINTS["acfnet_r50"]["params_live"] - BIAS - GATES_50
    assert num_parameters(r101) == 108_960_038 - BIAS - GATES_101
    assert num_parameters(default) == 108_958_886 - BIAS - GATES_101


@pytest.mark.parametrize("num_classes", [1, 3])
def test_class_features_are_mixtures_of_class_centres(num_classes: int) -> None:
    torch.manual_seed(0)
    module = AttentionalClassFeature(6, 5).double().eval()
    features = torch.randn(2, 6, 4, 7, dtype=torch.float64)
    coarse = torch.randn(2, num_classes, 4, 7, dtype=torch.float64)
    found = module(features, coarse)
    prob = torch.sigmoid(coarse) if num_classes == 1 else torch.softmax(coarse, dim=1)
    prob = torch.cat([1 - prob, prob], dim=1) if num_classes == 1 else prob
    reduced = module.reduce(features)
    wanted = torch.zeros_like(reduced)
    for b in range(2):
        for p in prob[b]:  # (H, W) of one class
            center = (p * reduced[b]).sum(dim=(1, 2)) / p.sum()
            wanted[b] += p * center[:, None, None]
    torch.testing.assert_close(found, module.refine(wanted), rtol=0, atol=1e-12)


def test_a_class_without_mass_leaves_everything_finite() -> None:
    torch.manual_seed(0)
    module = AttentionalClassFeature(6, 5)
    coarse = torch.full((2, 1, 4, 4), -300.0, requires_grad=True)  # p is 0 in float32
    output = module(torch.randn(2, 6, 4, 4), coarse)
    output.sum().backward()
    assert output.isfinite().all()
    assert coarse.grad.isfinite().all()


@pytest.mark.parametrize(
    "switches",
    [{"depth": 50}, {"depth": 152}, {"num_classes": 3}, {"aspp_dilations": [6, 12], "depth": 50}],
)
def test_every_switch_gives_logits_at_the_input_size(switches: dict) -> None:
    with torch.device("meta"):
        output = ACFNet(**switches)(torch.zeros(2, 1, 70, 45))
    shape = (2, switches.get("num_classes", 1), 70, 45)
    assert output.mask.shape == shape
    assert [tuple(side.shape) for side in output.semantic] == [shape] * 2
    assert (output.lung, output.edge, output.maps) == (None, (), {})


def test_every_parameter_gets_a_gradient_under_its_own_loss_at_the_smallest_size() -> None:
    torch.manual_seed(0)
    model = ACFNet(depth=50, aspp_dilations=[2])
    side = model.min_size
    loss = ACFNetLoss()(
        model(torch.randn(2, 1, side, side)), {"mask": torch.ones(2, 1, side, side)}
    )
    loss["total"].backward()
    assert loss["total"].isfinite()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name


def test_grid_of_multiples_of_8_has_a_place_on_each_corner() -> None:
    with torch.device("meta"):
        features = ACFNet(depth=50).encoder(torch.zeros(2, 1, 64, 96))
    assert [tuple(f.shape[-2:]) for f in features[3:]] == [(9, 13), (9, 13)]


def test_encoder_takes_timm_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    donor = timm.create_model("resnet50s")
    torch.save(donor.state_dict(), tmp_path / "resnet50s.pth")
    encoder = ACFNet(depth=50, pretrained=str(tmp_path / "resnet50s.pth")).encoder
    assert torch.equal(encoder.stages[3][2].conv2.weight, donor.layer4[2].conv2.weight)
    wanted = donor.conv1[0].weight.sum(dim=1, keepdim=True)
    torch.testing.assert_close(encoder.stem[0][0].weight, wanted)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 34}, "model.args.depth: 34 is not one of 50, 101, 152"),
        ({"aspp_dilations": [0, 6]}, "model.args.aspp_dilations: must be at least 1, not 0"),
        ({"depth": 50, "pretrained": "no.pth"}, "model.args.pretrained: no file no.pth"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ACFNet(**arguments)
