from pathlib import Path

import pytest
import torch
from torchvision.models import vgg11

from models.fcn8s import FCN8s
from tests.models.fingerprint import FINGERPRINTS, num_parameters
from utils.errors import UserError

SMALL = {"depth": 11, "fc_channels": 8}


def test_parameter_count_of_grey_images_and_one_class() -> None:
    with torch.device("meta"):
        model = FCN8s()
    # One input channel instead of three: 2 * 9 * 64 = 1,152 weights fewer.
    assert num_parameters(model) == FINGERPRINTS["fcn8s"]["params_live"] - 1_152 == 134_264_547


@pytest.mark.parametrize("depth", [11, 13, 19])
def test_other_depths_give_logits_at_the_size_of_any_image(depth: int) -> None:
    with torch.device("meta"):  # the first layer pads by 100 px
        model = FCN8s(depth=depth, fc_channels=8, num_classes=2)
        for height, width in ((1, 1), (16, 31), (33, 50)):
            output = model(torch.zeros(2, 1, height, width))
            assert [tuple(x.shape) for x in output.logits()] == [(2, 2, height, width)]


def test_upsampling_starts_bilinear() -> None:
    model = FCN8s(**SMALL, num_classes=2)
    # Stride 2, kernel 4: weights 1/4 3/4 3/4 1/4 in each direction; channels do not mix.
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])
    for up in (model.up_fc7, model.up_pool4):
        for channel in (0, 1):
            torch.testing.assert_close(up.weight[channel, channel], torch.outer(line, line))
            assert not up.weight[channel, 1 - channel].any()
    # A constant stays constant away from the border: 8 times larger, kernel 16.
    up = model.up_pool3(torch.full((1, 2, 4, 4), 3.0))
    assert up.shape == (1, 2, 40, 40)
    torch.testing.assert_close(up[..., 8:32, 8:32], torch.full((1, 2, 24, 24), 3.0))


@pytest.mark.slow
def test_encoder_and_fully_connected_layers_take_torchvision_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    with torch.device("meta"):
        shapes = vgg11(num_classes=2).state_dict()
    donor = {key: torch.randn(t.shape) for key, t in shapes.items() if t.numel() < 10**7}
    donor["classifier.3.bias"] = torch.randn(4096)
    for key, width in {"classifier.0.weight": 25_088, "classifier.3.weight": 4096}.items():
        donor[key] = torch.randn(1, width).expand(4096, width)  # one row in the file
    path = str(tmp_path / "vgg11.pth")
    torch.save(donor, path)
    model = FCN8s(depth=11, pretrained=path)
    assert torch.equal(model.stages[4][0].weight, donor["features.16.weight"])
    stem = donor["features.0.weight"].sum(dim=1, keepdim=True)
    assert torch.equal(model.stages[0][0].weight, stem)
    assert model.stages[0][0].padding == (100, 100)
    assert torch.equal(model.fc6.weight.flatten(1), donor["classifier.0.weight"])
    assert torch.equal(model.fc7.weight.flatten(1), donor["classifier.3.weight"])
    assert torch.equal(model.fc7.bias, donor["classifier.3.bias"])
    with pytest.raises(UserError, match="does not fit vgg13"):
        FCN8s(depth=13, fc_channels=8, pretrained=path)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(UserError, match=r"model\.args\.depth: 50 is not one of 11, 13, 16, 19"):
        FCN8s(depth=50)
    with pytest.raises(UserError, match=r"model\.args\.fc_channels"):
        FCN8s(fc_channels=0)
