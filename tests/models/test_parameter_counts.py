"""Every configuration that the published implementations come in has their number of parameters.

Counted are those that get a gradient, for three input channels and for one, then the difference
that is meant. ResUNet and Co-ERA-Net, which differ by more, have tests of their own.
"""

from typing import Any

import pytest
import torch

from models import create_model
from tests.models.fingerprint import num_parameters

# Gates of one kernel of 3 per block that the paper does not have, and a bias before a norm.
ACFNET_50, ACFNET_101 = -(16 * 3 + 512), -(33 * 3 + 512)
COUNTS: list[tuple[str, dict[str, Any], int, int, int]] = [
    ("infnet", {"trunk": "res2net50"}, 31_072_721, 31_072_145, 0),
    ("infnet", {"trunk": "resnet50"}, 30_911_401, 30_905_129, 0),
    ("infnet", {"trunk": "vgg16"}, 21_298_857, 21_297_705, 0),
    ("ffrnet", {"num_classes": 2}, 39_947_714, 39_941_442, 0),
    ("unet", {}, 31_037_633, 31_036_481, 0),
    ("unet", {"bilinear": True}, 17_262_977, 17_261_825, 0),
    # Biases that the norms cancel.
    ("unet", {"bilinear": True, "num_classes": 3}, 17_267_523, 17_266_371, -4_416),
    ("unetplusplus", {}, 9_163_329, 9_162_753, 0),
    ("unetplusplus", {"deep_supervision": True}, 9_163_428, 9_162_852, 0),
    ("attention_unet", {}, 34_878_573, 34_877_421, 0),
    ("pspnet", {}, 49_066_178, 49_065_026, 0),
    ("pspnet", {"depth": 101}, 68_058_306, 68_057_154, 0),
    ("deeplabv3", {}, 39_633_729, 39_627_457, 0),
    ("deeplabv3", {"depth": 101}, 58_625_857, 58_619_585, 0),
    ("deeplabv3plus", {}, 39_756_705, 39_750_433, 0),
    ("deeplabv3plus", {"output_stride": 8}, 39_756_705, 39_750_433, 0),
    ("deeplabv3plus", {"depth": 101}, 58_748_833, 58_742_561, 0),
    ("deeplabv3plus", {"trunk": "mobilenetv2"}, 5_220_577, 5_220_001, 0),
    # The last norm, of 2048 channels.
    ("deeplabv3plus", {"trunk": "xception"}, 37_045_385, 37_044_809, 2 * 2048),
    ("scrn", {}, 25_226_498, 25_220_226, 0),
    ("f3net", {}, 25_536_710, 25_530_438, 0),
    ("danet", {}, 47_434_949, 47_428_677, 0),
    ("danet", {"depth": 101}, 66_427_077, 66_420_805, 0),
    ("acfnet", {"depth": 50}, 89_967_859, 89_966_707, ACFNET_50),
    ("acfnet", {"depth": 101}, 108_960_038, 108_958_886, ACFNET_101),
    ("cenet", {}, 29_003_093, 28_996_821, 0),
    ("cpfnet", {}, 30_650_724, 30_644_452, 0),
    ("cpfnet", {"num_classes": 2}, 30_650_757, 30_644_485, 0),
    ("fcn8s", {}, 134_265_699, 134_264_547, 0),
    ("fcn8s", {"num_classes": 3}, 134_277_737, 134_276_585, 0),
]


@pytest.mark.parametrize(("name", "args", "of_colour", "of_grey", "difference"), COUNTS)
def test_parameters_are_those_that_the_published_network_trains(
    name: str, args: dict[str, Any], of_colour: int, of_grey: int, difference: int
) -> None:
    with torch.device("meta"):
        colour, grey = create_model(name, in_channels=3, **args), create_model(name, **args)
    assert num_parameters(colour) == of_colour + difference
    assert num_parameters(grey) == of_grey + difference


@pytest.mark.parametrize(
    ("name", "args"),
    [
        *((name, {"depth": 101}) for name in ("cenet", "cpfnet", "f3net", "scrn")),
        *((name, {"depth": 152}) for name in ("danet", "deeplabv3", "ffrnet", "pspnet")),
        *((name, {"trunk": "mobilenetv2"}) for name in ("deeplabv3", "deeplabv3plus")),
        ("deeplabv3", {"trunk": "xception"}),
    ],
)
def test_other_depths_and_trunks_of_each_family_run(name: str, args: dict[str, Any]) -> None:
    with torch.device("meta"):
        network = create_model(name, num_classes=3, **args).to("meta").eval()
        output = network(torch.empty(2, 1, 64, 96))
    assert output.mask.shape == (2, 3, 64, 96)
