"""Configurations without published outputs have the published number of multiplications.

Parameters do not tell at which resolution a layer runs; multiplications do. Figures are billions of
multiply-adds of a forward pass of one slice of three channels, in convolutions and matrix products.
"""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from models import create_model


def giga_macs(name: str, side: int = 256, **args: Any) -> float:
    with torch.device("meta"):
        network = create_model(name, in_channels=3, **args).to("meta").eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.zeros(1, 3, side, side))
    return counter.get_total_flops() / 2e9


@pytest.mark.parametrize(
    ("name", "args", "at_256", "at_352"),
    [
        ("infnet", {"trunk": "vgg16"}, 25.210, 47.663),
        ("unet", {"bilinear": True}, 39.980, 75.587),
        ("unetplusplus", {"deep_supervision": True}, 34.492, 65.211),
        ("deeplabv3", {"depth": 101}, 16.949, 32.043),
        ("deeplabv3plus", {"depth": 101}, 19.718, 37.279),
    ],
)
def test_multiplications_are_the_published_ones(
    name: str, args: dict[str, Any], at_256: float, at_352: float
) -> None:
    assert giga_macs(name, **args) == pytest.approx(at_256, abs=6e-4)
    assert giga_macs(name, 352, **args) == pytest.approx(at_352, abs=6e-4)


@pytest.mark.parametrize(("side", "published"), [(256, 49.387), (352, 93.373)])
def test_coeranet_on_a_resnet_multiplies_as_published(side: int, published: float) -> None:
    # Four heads of 64 channels run at the decoder's resolution, not at the image's.
    heads = 4 * 64 * (side**2 - (side // 4) ** 2) / 1e9
    assert giga_macs("coeranet", side, trunk="resnet50") + heads == pytest.approx(
        published, abs=6e-4
    )


@pytest.mark.parametrize(
    ("name", "of_50", "of_101"),
    [
        ("pspnet", 48.484, 67.878),
        ("danet", 50.554, 69.949),
        ("acfnet", 99.317, 119.943),
    ],
)
def test_101_layers_add_the_published_multiplications(
    name: str, of_50: float, of_101: float
) -> None:
    added = giga_macs(name, depth=101) - giga_macs(name, depth=50)
    assert added == pytest.approx(of_101 - of_50, abs=1.1e-3)
