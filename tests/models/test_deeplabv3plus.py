import math

import pytest
import torch
from torch import nn

from losses.cross_entropy import CrossEntropyLoss
from models.deeplabv3plus import DeepLabV3Plus
from tests.models.fingerprint import FINGERPRINTS, num_live_parameters, num_parameters
from utils.errors import UserError


@pytest.mark.parametrize("trunk", ["mobilenetv2", "xception"])
@pytest.mark.parametrize(("output_stride", "side"), [(16, 4), (8, 8)])
def test_other_encoders_keep_the_output_stride_and_train_every_parameter(
    trunk: str, output_stride: int, side: int
) -> None:
    torch.manual_seed(0)
    model = DeepLabV3Plus(trunk=trunk, output_stride=output_stride)
    with torch.no_grad():
        sides = [features.shape[-1] for features in model.encoder(torch.randn(2, 1, 64, 64))]
    assert sides[-1] == side
    image = torch.randn(2, 1, model.min_size, model.min_size + 25)
    model(image).mask.square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_xception_refuses_images_that_its_first_layers_use_up() -> None:
    model = DeepLabV3Plus(trunk="xception")
    with pytest.raises(UserError, match=r"6 x 9 px does not fit DeepLabV3Plus: .* at least 7 px"):
        model(torch.zeros(2, 1, 6, 9))


def test_every_parameter_is_live_and_their_number_the_published_one() -> None:
    model = DeepLabV3Plus(in_channels=3)
    num_live = num_live_parameters(model, model(torch.randn(2, 3, 40, 24)).mask.square().mean())
    assert num_live == num_parameters(model) == FINGERPRINTS["deeplabv3plus_r50"]["params_live"]
    assert num_live == 39_756_705


@pytest.mark.parametrize(
    ("arguments", "num"),
    [
        ({}, 39_756_705 - 6_272),  # one input channel instead of three: 2 * 49 * 64 weights fewer
        ({"in_channels": 3, "output_stride": 8}, 39_756_705),
        ({"in_channels": 3, "depth": 101}, 58_748_833),
        ({"in_channels": 3, "num_classes": 3}, 39_756_705 + 2 * 257),
    ],
)
def test_parameter_counts_of_the_family(arguments: dict, num: int) -> None:
    with torch.device("meta"):
        assert num_parameters(DeepLabV3Plus(**arguments)) == num


@pytest.mark.parametrize("output_stride", [16, 8])
@torch.no_grad()
def test_any_size_and_number_of_classes_gives_logits_at_the_input_size(output_stride: int) -> None:
    model = DeepLabV3Plus(depth=18, num_classes=3, output_stride=output_stride).eval()
    output = model(torch.randn(1, 1, 41, 66))
    assert output.mask.shape == (1, 3, 41, 66)
    assert (model.heads, output.semantic) == ({"mask"}, ())


def test_heads_start_as_the_reference() -> None:
    torch.manual_seed(0)
    model = DeepLabV3Plus(depth=18)
    # Kaiming-normal: variance 2 / fan-in, here 9 * 304.
    wanted = math.sqrt(2 / (9 * 304))
    assert model.decoder.conv[0].weight.std().item() == pytest.approx(wanted, rel=0.01)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.1]


def test_own_loss_is_the_cross_entropy_of_the_mask() -> None:
    model = DeepLabV3Plus(depth=18)
    nn.init.zeros_(model.decoder.head.weight)
    nn.init.zeros_(model.decoder.head.bias)
    terms = CrossEntropyLoss(**model.own_loss_args)(
        model(torch.randn(2, 1, 16, 16)), {"mask": torch.zeros(2, 1, 16, 16)}
    )
    # A logit of 0 is a probability of 1/2: log 2, also on an empty target.
    assert terms["total"].item() == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 35}, "model.args.depth: 35 is not one of"),
        ({"trunk": "vgg"}, "model.args.trunk: 'vgg' is not one of resnet, mobilenetv2, xception"),
        ({"output_stride": 32}, "model.args.output_stride: 32 is not one of 8, 16"),
        ({"pretrained": "no.pth"}, "model.args.pretrained: no file no.pth"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        DeepLabV3Plus(**arguments)
