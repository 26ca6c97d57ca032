"""Encoders of torchvision and timm as lists of features, finest first; none is written again here.

A network asks for its encoder with strides and dilations as its paper has them. Grey images meet
weights for colour images in one place, `models.parts.weights.fit_stem`.
"""

from collections.abc import Iterable, Sequence

import timm
import torch
from torch import Tensor, nn
from torchvision import models as torchvision_models

from models.parts.checks import check_choice
from models.parts.weights import load_backbone

RESNET_DEPTHS = (18, 34, 50, 101, 152)
_DEEP_STEM_DEPTHS = (50, 101, 152)


def lay_out(image: Tensor) -> Tensor:
    """The image in the memory format that suits its device, which the features then follow.

    Convolutions on the CPU, dilated ones above all, take less time with channels last.
    """
    if image.device.type != "cpu":
        return image
    return image.contiguous(memory_format=torch.channels_last)


def run_stages(stages: Iterable[nn.Module], features: Tensor) -> list[Tensor]:
    """The features behind each of the stages, one after the other."""
    behind = []
    for stage in stages:
        features = stage(features)
        behind.append(features)
    return behind


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
        stem = self.stem(lay_out(image))
        return [stem, *run_stages(self.stages, self.pool(stem))]


class MobileNetBackbone(nn.Module):
    """MobileNetV2 of torchvision without its last convolution and classifier.

    Args:
        in_channels: Channels of the image.
        strides: Of the first block of each of the four stages (24, 32, 96 and 320 channels).
        dilations: As ResNetBackbone's, of the depthwise convolutions.
        pretrained: As ResNetBackbone's.

    Attributes:
        channels: Of the five features.

    Raises:
        UserError: No such weights.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        strides: Sequence[int] = (2, 2, 2, 2),
        dilations: Sequence[Sequence[int]] = ((1,), (1,), (1,), (1,)),
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        net = torchvision_models.mobilenet_v2(weights=None)
        load_backbone(net, "mobilenet_v2", pretrained, in_channels, stem="features.0.0")
        parts = [net.features[first:last] for first, last in ((0, 2), (2, 4), (4, 7), (7, 14))]
        parts.append(net.features[14:18])
        self.stem, self.stages = parts[0], nn.ModuleList(parts[1:])
        for stage, stride, rates in zip(self.stages, strides, dilations, strict=True):
            for index, block in enumerate(stage):
                (conv,) = _depthwise(block)
                conv.stride = (stride if index == 0 else 1,) * 2
                _dilate_conv(conv, rates[min(index, len(rates) - 1)])
        self.channels = tuple(part[-1].out_channels for part in parts)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features of the stem (H/2) and of the four stages."""
        return run_stages((self.stem, *self.stages), lay_out(image))


class XceptionBackbone(nn.Module):
    """Xception of timm without its classifier; strides become dilations from a stage on.

    Args:
        in_channels: Channels of the image.
        strides: Of the four stages (128, 256, 728 and 2048 channels); 2, or 1 for the last ones.
        dilations: As ResNetBackbone's, but the last one of a stage holds for all its depthwise
            convolutions.
        pretrained: As ResNetBackbone's.

    Attributes:
        channels: Of the five features.

    Raises:
        UserError: No such weights.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        strides: Sequence[int] = (2, 2, 2, 2),
        dilations: Sequence[Sequence[int]] = ((1,), (1,), (1,), (1,)),
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        net = timm.create_model("legacy_xception", num_classes=0)
        load_backbone(net, "legacy_xception", pretrained, in_channels, stem="conv1", library="timm")
        blocks = [net.get_submodule(f"block{number}") for number in range(1, 13)]
        exit_flow = (net.conv3, net.bn3, net.act3, net.conv4, net.bn4, net.act4)
        self.stem = nn.Sequential(net.conv1, net.bn1, net.act1, net.conv2, net.bn2, net.act2)
        parts = ((blocks[0],), (blocks[1],), blocks[2:11], (blocks[11], *exit_flow))
        self.stages = nn.ModuleList(nn.Sequential(*part) for part in parts)
        for stage, stride, rates in zip(self.stages, strides, dilations, strict=True):
            if stride == 1:
                stage[0].skip.stride = (1, 1)
                stage[0].rep[-1] = nn.Identity()  # the pool that halves
            for conv in _depthwise(stage):
                _dilate_conv(conv, rates[-1])
        self.channels = (64, 128, 256, 728, 2048)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features of the stem (H/2) and of the four stages."""
        return run_stages((self.stem, *self.stages), lay_out(image))


def _depthwise(module: nn.Module) -> list[nn.Conv2d]:
    """Its convolutions of one channel each."""
    convs = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    return [conv for conv in convs if conv.groups == conv.in_channels > 1]


def _dilate_conv(conv: nn.Conv2d, dilation: int) -> None:
    """Set the dilation of a 3x3 convolution that keeps the size."""
    conv.dilation = conv.padding = (dilation, dilation)


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
            _dilate_conv(conv, dilation)
            conv.stride = (1, 1)
        spatial[0].stride = (stride if index == 0 else 1,) * 2
        if block.downsample is not None:
            block.downsample[0].stride = (stride if index == 0 else 1,) * 2
