import math

import pytest
import torch
from torch import nn

from losses.cross_entropy import CrossEntropyLoss
from models.deeplabv3 import DeepLabV3
from tests.models.fingerprint import FINGERPRINTS, num_live_parameters, num_parameters
from utils.errors import UserError


def test_every_parameter_is_live_and_their_number_the_published_one() -> None:
    model = DeepLabV3(in_channels=3)
    num_live = num_live_parameters(model, model(torch.randn(2, 3, 40, 24)).mask.square().mean())
    assert num_live == num_parameters(model) == FINGERPRINTS["deeplabv3_r50"]["params_live"]
    assert num_live == 39_633_729


@pytest.mark.parametrize(
    ("arguments", "num"),
    [
        ({}, 39_633_729 - 6_272),  # one input channel instead of three: 2 * 49 * 64 weights fewer
        ({"in_channels": 3, "output_stride": 8}, 39_633_729),
        ({"in_channels": 3, "depth": 101}, 58_625_857),
        ({"in_channels": 3, "num_classes": 3}, 39_633_729 + 2 * 257),
    ],
)
def test_parameter_counts_of_the_family(arguments: dict, num: int) -> None:
    with torch.device("meta"):
        assert num_parameters(DeepLabV3(**arguments)) == num


@pytest.mark.parametrize(("output_stride", "dilations"), [(16, (1, 2)), (8, (2, 4))])
def test_the_output_stride_moves_into_dilations(
    output_stride: int, dilations: tuple[int, int]
) -> None:
    with torch.device("meta"):
        model = DeepLabV3(output_stride=output_stride)
        c5 = model.encoder(torch.zeros(1, 1, 96, 64))[-1]
    assert c5.shape[-2:] == (96 // output_stride, 64 // output_stride)
    # 50 layers: three blocks in stage 4, the first one with the dilation of the stage before.
    first, second = dilations
    assert [b.conv2.dilation[0] for b in model.encoder.stages[3]] == [first, second, second]
    rates = [conv[0].dilation[0] for conv in list(model.head[0].convs)[1:4]]
    assert rates == [96 // output_stride * k for k in (1, 2, 3)]


@pytest.mark.parametrize("output_stride", [16, 8])
@torch.no_grad()
def test_any_size_and_number_of_classes_gives_logits_at_the_input_size(output_stride: int) -> None:
    model = DeepLabV3(depth=18, num_classes=3, output_stride=output_stride).eval()
    output = model(torch.randn(1, 1, 41, 66))
    assert output.mask.shape == (1, 3, 41, 66)
    assert (model.heads, output.semantic) == ({"mask"}, ())


def test_head_starts_as_the_reference() -> None:
    torch.manual_seed(0)
    head = DeepLabV3(depth=18).head
    # Kaiming-normal: variance 2 / fan-in, here 9 * 256.
    assert head[1].weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 256)), rel=0.01)
    assert [m.p for m in head.modules() if isinstance(m, nn.Dropout)] == [0.1]


def test_own_loss_is_the_cross_entropy_of_the_mask() -> None:
    model = DeepLabV3(depth=18)
    nn.init.zeros_(model.head[-1].weight)
    nn.init.zeros_(model.head[-1].bias)
    terms = CrossEntropyLoss(**model.own_loss_args)(
        model(torch.randn(2, 1, 16, 16)), {"mask": torch.ones(2, 1, 16, 16)}
    )
    # A logit of 0 is a probability of 1/2: log 2.
    assert terms["total"].item() == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 35}, "model.args.depth: 35 is not one of"),
        ({"output_stride": 32}, "model.args.output_stride: 32 is not one of 8, 16"),
        ({"pretrained": "no.pth"}, "model.args.pretrained: no file no.pth"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        DeepLabV3(**arguments)
