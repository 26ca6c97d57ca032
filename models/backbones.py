"""Encoders of torchvision and timm as lists of features, finest first; none is written again here.

A network asks for its encoder with strides and dilations as its paper has them. Grey images meet
weights for colour images in one place, `models.weights.fit_stem`.
"""

from collections.abc import Sequence

import timm
from torch import Tensor, nn
from torchvision import models as torchvision_models

from models.checks import check_choice
from models.weights import load_backbone

RESNET_DEPTHS = (18, 34, 50, 101, 152)
_DEEP_STEM_DEPTHS = (50, 101, 152)


class ResNetBackbone(nn.Module):
    """A ResNet without its classifier.

    Args:
        depth: 18, 34, 50, 101 or 152.
        in_channels: Channels of the image.
        strides: Of the first block of each of the four stages.
        dilations: Of the 3x3 convolutions of each stage, block by block; the last one holds for
            all further blocks: ((1,), (1,), (1, 2), (2, 4)).
        deep_stem: Three 3x3 convolutions (64, 64, 128) instead of the 7x7; from timm.
        ceil_pool: Round the size after the max pool up instead of down.
        pretrained: None, "imagenet" (the library's own weights), or a file with a state_dict of the
            library's names.

    Attributes:
        channels: Of the five features.

    Raises:
        UserError: No such depth, or no such weights.
    """

    def __init__(
        self,
        depth: int,
        in_channels: int,
        *,
        strides: Sequence[int] = (1, 2, 2, 2),
        dilations: Sequence[Sequence[int]] = ((1,), (1,), (1,), (1,)),
        deep_stem: bool = False,
        ceil_pool: bool = False,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        check_choice("depth", depth, RESNET_DEPTHS)
        name = f"resnet{depth}"
        if deep_stem:
            check_choice("depth", depth, _DEEP_STEM_DEPTHS)
            net = timm.create_model(f"{name}s", zero_init_last=False)  # as torchvision starts
            load_backbone(net, f"{name}s", pretrained, in_channels, stem="conv1.0", library="timm")
        else:
            net = torchvision_models.get_model(name, weights=None)
            load_backbone(net, name, pretrained, in_channels)
        self.stem = nn.Sequential(net.conv1, net.bn1, nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=ceil_pool)
        self.stages = nn.ModuleList([net.layer1, net.layer2, net.layer3, net.layer4])
        for stage, stride, dilation in zip(self.stages, strides, dilations, strict=True):
            dilate(stage, stride, dilation)
        widths = (64, 128, 256, 512) if depth < 50 else (256, 512, 1024, 2048)
        self.channels = (128 if deep_stem else 64, *widths)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features of the stem (H/2, before the max pool) and of the four stages."""
        features = [self.stem(image)]
        current = self.pool(features[0])
        for stage in self.stages:
            current = stage(current)
            features.append(current)
        return features


def dilate(stage: nn.Sequential, stride: int, dilations: Sequence[int]) -> None:
    """Set stride and dilations of the residual blocks of one stage.

    Args:
        stage: Basic or bottleneck blocks of torchvision or timm.
        stride: Of the first block, on its 3x3 convolution and its shortcut.
        dilations: Block by block; the last one holds for all further blocks.
    """
    for index, block in enumerate(stage):
        dilation = dilations[min(index, len(dilations) - 1)]
        spatial = [c for c in (block.conv1, block.conv2) if c.kernel_size == (3, 3)]
        for conv in spatial:
            conv.dilation = conv.padding = (dilation, dilation)
            conv.stride = (1, 1)
        spatial[0].stride = (stride if index == 0 else 1,) * 2
        if block.downsample is not None:
            block.downsample[0].stride = (stride if index == 0 else 1,) * 2
