"""CE-Net, an encoder and a decoder around a context extractor of dilated convolutions and pools.

Paper: Z. Gu, J. Cheng, H. Fu, K. Zhou, H. Hao, Y. Zhao, T. Zhang, S. Gao, J. Liu, "CE-Net: Context
Encoder Network for 2D Medical Image Segmentation", IEEE TMI 38(10), 2019, doi
10.1109/TMI.2019.2903562, arXiv 1903.02740. ImageNet weights in the ResNet-34 encoder.

The reference implementation (github.com/Guzaiwang/CE-Net, no licence, not used here) returns
probabilities, ignores its number of input channels, and its Dice loss is 0/0 for a blank prediction
of an empty mask.

Deviations:
    - Logits instead of probabilities.
    - The 1x1 convolution of the pooled context runs before the bilinear resize: the same function,
      since both are linear, on maps of one channel.
    - Pool kernels are no larger than the deepest feature map, so that sides below 192 px run, too;
      from 192 px on nothing differs.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.parts.backbones import ResNetBackbone
from models.parts.checks import check_positive, check_size
from models.parts.network import SegmentationNetwork
from models.parts.resize import resize
from utils.contracts import SegOutput

_POOL_SIZES = (2, 3, 5, 6)  # px of the deepest feature map (the paper)
_HEAD_CHANNELS = 32


class _DenseAtrousConvolution(nn.Module):
    """DAC: four cascaded paths of receptive field 3, 7, 9 and 19, added to the input.

    The paths share their convolutions, as released: a dilation has one kernel.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dilated1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.dilated3 = nn.Conv2d(channels, channels, 3, padding=3, dilation=3)
        self.dilated5 = nn.Conv2d(channels, channels, 3, padding=5, dilation=5)
        self.pointwise = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        reach3 = self.dilated1(features)
        reach9 = self.dilated3(reach3)
        paths = [
            reach3,
            self.pointwise(self.dilated3(features)),
            self.pointwise(reach9),
            self.pointwise(self.dilated5(reach9)),
        ]
        for path in paths:
            features = features + F.relu(path)
        return features


class _ResidualMultiKernelPooling(nn.Module):
    """RMP: four max pools, each as one map at the input's size, before the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 1)
        self.out_channels = channels + len(_POOL_SIZES)

    def forward(self, features: Tensor) -> Tensor:
        height, width = features.shape[-2:]
        context = []
        for size in _POOL_SIZES:
            pooled = self.conv(F.max_pool2d(features, (min(size, height), min(size, width))))
            context.append(resize(pooled, (height, width)))
        return torch.cat([*context, features], dim=1)


class _DecoderBlock(nn.Sequential):
    """1x1 convolution to a quarter, 2x transposed 3x3 convolution, 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        inner = in_channels // 4
        super().__init__(
            nn.Conv2d(in_channels, inner, 1),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(inner, inner, 3, stride=2, padding=1, output_padding=1),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, out_channels, 1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class CENet(SegmentationNetwork):
    """CE-Net.

    Args:
        depth: ResNet layout of the encoder, 34 (the paper), 18, 50, 101 or 152.
    """

    title = "CE-Net"
    paper = "Gu et al., IEEE TMI 2019"
    reference_licence = "none"
    stride = 32
    min_size = 64  # px; 32 run, but leave the deepest batch norms the two slices' values alone
    own_loss = "bce_dice"
    own_loss_args: ClassVar[dict[str, float | str]] = {"bce_weight": 1.0, "reduction": "batch"}

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 1,
        depth: int = 34,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        check_positive(in_channels=in_channels, num_classes=num_classes)
        self.encoder = ResNetBackbone(depth, in_channels, pretrained=pretrained)
        _, c2, c3, c4, c5 = self.encoder.channels
        self.dac = _DenseAtrousConvolution(c5)
        self.rmp = _ResidualMultiKernelPooling(c5)
        self.decoder4 = _DecoderBlock(self.rmp.out_channels, c4)
        self.decoder3 = _DecoderBlock(c4, c3)
        self.decoder2 = _DecoderBlock(c3, c2)
        self.decoder1 = _DecoderBlock(c2, c2)
        self.head = nn.Sequential(
            nn.ConvTranspose2d(c2, _HEAD_CHANNELS, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(_HEAD_CHANNELS, _HEAD_CHANNELS, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(_HEAD_CHANNELS, num_classes, 3, padding=1),
        )

    @property
    def segments(self) -> list[nn.Module]:
        encoder = [self.encoder.stem, *self.encoder.stages]
        decoder = [self.decoder4, self.decoder3, self.decoder2, self.decoder1]
        return [*encoder, self.dac, *decoder, self.head]

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        check_size(self, image)
        _, c2, c3, c4, c5 = self.encoder(image)  # H/4 to H/32
        context = self.rmp(self.dac(c5))
        d4 = self.decoder4(context) + c4  # H/16
        d3 = self.decoder3(d4) + c3  # H/8
        d2 = self.decoder2(d3) + c2  # H/4
        return SegOutput(mask=self.head(self.decoder1(d2)))
