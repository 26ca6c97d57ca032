"""Which of our networks stands for which published implementation of fingerprints.json."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from models.attention_unet import AttentionUNet
from models.cenet import CENet
from models.cpfnet import CPFNet
from models.danet import DANet
from models.deeplabv3 import DeepLabV3
from models.deeplabv3plus import DeepLabV3Plus
from models.f3net import F3Net
from models.fcn8s import FCN8s
from models.ffrnet import FFRNet
from models.infnet import InfNet
from models.pspnet import PSPNet
from models.scrn import SCRN
from models.unet import UNet
from models.unetplusplus import UNetPlusPlus
from tests.models.arrangements import (
    PublishedCoERANet,
    ReleasedACFNet,
    ReleasedResUNet,
    released_deeplabv3plus,
)
from tests.models.fingerprint import FINGERPRINTS, image, prepare
from utils.contracts import SegOutput

# A dilated kernel whose taps all lie beyond the map is a 1x1 one: 12 px apart at stride 16 they
# need 208 px. One long side shows every rate that 256 x 256 px show.
TALL = (256, 32)


class Published(NamedTuple):
    """A network that computes what a published implementation does.

    Attributes:
        build: Makes it.
        maps: Takes the published outputs, in their order, from its own.
        small_size: Height and width, in px, at which the default tests run it.
        surplus: Its parameters less those that the published implementation trains; None where
            that one does not register all it has.
    """

    build: Callable[[], nn.Module]
    maps: Callable[[Any], list[Tensor]] = lambda output: [output.mask]
    small_size: tuple[int, int] = (64, 64)
    surplus: int | None = 0


def _mask_and_semantic(output: SegOutput) -> list[Tensor]:
    return [output.mask, *output.semantic]


def _log_prob_twice(output: SegOutput) -> list[Tensor]:
    return [torch.log_softmax(output.mask, dim=1)] * 2


def _maps_of_infnet(output: SegOutput) -> list[Tensor]:
    return [*output.semantic, output.mask, *output.edge]


def _maps_of_f3net(output: SegOutput) -> list[Tensor]:
    first, *levels = output.semantic
    return [first, output.mask, *levels]


# Negative surpluses are biases before a batch norm, which it cancels.
PUBLISHED: dict[str, Published] = {
    "resunet_c2f": Published(ReleasedResUNet, list, surplus=None),
    # The kernels of 1 x 7 need a map that is wider than 1 px at stride 32.
    "infnet_res2net50": Published(partial(InfNet, in_channels=3), _maps_of_infnet, (256, 64)),
    "infnet_resnet50": Published(
        partial(InfNet, in_channels=3, trunk="resnet50"), _maps_of_infnet, (256, 64)
    ),
    # The multi-class stage: a slice and a lesion map, of three channels each.
    "infnet_mc_unet": Published(
        partial(UNet, in_channels=6, num_classes=3, bilinear=True), surplus=-4_416
    ),
    # The published one has two classes, and features of 64 x 64 px whatever the image has.
    "ffrnet": Published(partial(FFRNet, in_channels=3, num_classes=2), small_size=TALL),
    "coeranet": Published(PublishedCoERANet, list, TALL, -8 * (384 + 192 + 96)),
    "unet": Published(partial(UNet, in_channels=3)),
    "unetpp": Published(partial(UNetPlusPlus, in_channels=3)),
    "attunet": Published(partial(AttentionUNet, in_channels=3)),
    "pspnet50": Published(partial(PSPNet, in_channels=3), _mask_and_semantic),
    "deeplabv3_r50": Published(partial(DeepLabV3, in_channels=3), small_size=TALL),
    "deeplabv3plus_r50": Published(partial(DeepLabV3Plus, in_channels=3), small_size=TALL),
    "deeplabv3plus_r50_os8": Published(
        partial(DeepLabV3Plus, in_channels=3, output_stride=8), small_size=TALL
    ),
    "deeplabv3plus_mobilenet": Published(
        partial(released_deeplabv3plus, "mobilenetv2"), small_size=TALL
    ),
    # Its dilated layers lose pixels: fewer than 96 px leave none.
    "deeplabv3plus_xception": Published(
        partial(released_deeplabv3plus, "xception"), small_size=(256, 96)
    ),
    "scrn": Published(partial(SCRN, in_channels=3), lambda output: [output.mask, *output.edge]),
    "f3net": Published(partial(F3Net, in_channels=3), _maps_of_f3net),
    "danet_r50": Published(partial(DANet, in_channels=3), _mask_and_semantic, TALL),
    "acfnet_r50": Published(ReleasedACFNet, list, TALL, -512),
    # Multiples of 32 and at least 64 px.
    "cenet": Published(
        partial(CENet, in_channels=3), lambda output: [torch.sigmoid(output.mask)], (256, 64)
    ),
    # The published one returns its log-softmax twice; of one class it is 0 everywhere.
    "cpfnet": Published(partial(CPFNet, in_channels=3), _log_prob_twice),
    "cpfnet_2class": Published(partial(CPFNet, in_channels=3, num_classes=2), _log_prob_twice),
    # Their first layer pads by 100 px, so that 64 px make little difference to 32.
    "fcn8s": Published(partial(FCN8s, in_channels=3), small_size=(32, 32)),
    "fcn8s_3class": Published(partial(FCN8s, in_channels=3, num_classes=3), small_size=(32, 32)),
}


@torch.no_grad()
def run(name: str, size: tuple[int, int]) -> list[Tensor]:
    """The outputs of a network with the fingerprint's weights for its image."""
    build, maps, *_ = PUBLISHED[name]
    with torch.device("meta"):
        model = build()
    return maps(prepare(model)(image(FINGERPRINTS[name]["in_channels"], size)))
