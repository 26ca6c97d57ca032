"""The encoders of Inf-Net: Res2Net, ResNet or VGG-16, as stages of a library's network."""

from collections.abc import Iterable
from typing import Literal, get_args

import timm
from torch import Tensor, nn
from torchvision.models import vgg16

from models.parts.backbones import ResNetBackbone, lay_out, run_stages
from models.parts.checks import check_choice
from models.parts.weights import load_backbone

Trunk = Literal["res2net50", "res2net101", "resnet50", "resnet101", "vgg16"]


class _Trunk(nn.Module):
    """Stages of a library's network, finest first."""

    def __init__(self, stages: Iterable[nn.Module], channels: tuple[int, ...]) -> None:
        super().__init__()
        self.stages, self.channels = nn.ModuleList(stages), channels

    def forward(self, image: Tensor) -> list[Tensor]:
        return run_stages(self.stages, lay_out(image))


def _create_res2net(name: str, in_channels: int, pretrained: str | None) -> nn.Module:
    """Res2Net v1b, 26 channels in each of 4 splits: three 3x3 in the stem, pooled shortcuts."""
    # As published, the last norm of a block starts at 1, not at timm's 0.
    net = timm.create_model(name, num_classes=0, zero_init_last=False)
    load_backbone(net, name, pretrained, in_channels, stem="conv1.0", library="timm")
    first = nn.Sequential(net.conv1, net.bn1, net.act1, net.maxpool, net.layer1)
    return _Trunk((first, net.layer2, net.layer3, net.layer4), (256, 512, 1024, 2048))


def _create_vgg(in_channels: int, pretrained: str | None) -> nn.Module:
    """VGG-16 with average instead of maximum pools; f_2 comes from the second block, at H/2."""
    net = vgg16(weights=None)
    load_backbone(net, "vgg16", pretrained, in_channels, stem="features.0")
    layers = [nn.AvgPool2d(2) if isinstance(m, nn.MaxPool2d) else m for m in net.features]
    # Each stage but the first begins with its pool; the last pool is left out.
    parts = (layers[:9], layers[9:16], layers[16:23], layers[23:30])
    return _Trunk((nn.Sequential(*part) for part in parts), (128, 256, 512, 512))


def create_trunk(trunk: Trunk, in_channels: int, pretrained: str | None) -> nn.Module:
    """The encoder of that name; its last four features are f_2 to f_5."""
    check_choice("trunk", trunk, get_args(Trunk))
    if trunk == "vgg16":
        return _create_vgg(in_channels, pretrained)
    if trunk.startswith("res2net"):
        return _create_res2net(f"{trunk}d", in_channels, pretrained)
    depth = int(trunk.removeprefix("resnet"))
    return ResNetBackbone(depth, in_channels, pretrained=pretrained)
