"""CPFNet, global pyramid guidance between encoder and decoder and a scale-aware pyramid below.

Paper: S. Feng, H. Zhao, F. Shi, X. Cheng, M. Wang, Y. Ma, D. Xiang, W. Zhu, X. Chen, "CPFNet:
Context Pyramid Fusion Network for Medical Image Segmentation", IEEE TMI 39(10), 2020, doi
10.1109/TMI.2020.2983721. ImageNet weights in the ResNet-34 encoder.

The reference implementation (github.com/FENGShuanglang/CPFNet_Project, MIT, not used here) returns
log-softmax, which is 0 everywhere for one channel, so that one class cannot train; it returns its
map twice; and 12.6 of its 43.3 million parameters are never used: a second pyramid in every decoder
block, the 3x3 convolution of the deepest block, a second attention net, the classifier.

Deviations:
    - Logits instead of log-probabilities; one class is one sigmoid map.
    - The unused parts are left out.
    - The decoder's 1x1 convolutions run before the bilinear resize: the same function, since both
      are linear, at a quarter of the cost.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.parts.backbones import ResNetBackbone
from models.parts.checks import check_positive, check_size
from models.parts.network import SegmentationNetwork
from models.parts.resize import resize_aligned
from utils.contracts import SegOutput

_HEAD_CHANNELS = 32


def _conv_bn_relu(in_channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    """Convolution at the input's size, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class _SeparableConv(nn.Sequential):
    """Dilated depthwise 3x3 conv-BN, 1x1 conv-BN-ReLU."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int) -> None:
        super().__init__(
            nn.Conv2d(
                in_channels,
                in_channels,
                3,
                padding=dilation,
                dilation=dilation,
                groups=in_channels,
                bias=False,
            ),
            nn.BatchNorm2d(in_channels),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class _GlobalPyramidGuidance(nn.Module):
    """GPG: a stage and all deeper ones, joined, then seen at one dilation per stage.

    Args:
        stage_channels: Of the stages, shallowest first; the first one's is the width.
    """

    def __init__(self, stage_channels: Sequence[int]) -> None:
        super().__init__()
        width, num_stages = stage_channels[0], len(stage_channels)
        joined = num_stages * width
        self.reduce = nn.ModuleList(_conv_bn_relu(c, width, 3) for c in stage_channels)
        self.pyramid = nn.ModuleList(
            _SeparableConv(joined, width, 2**power) for power in range(num_stages)
        )
        self.merge = nn.Sequential(nn.Conv2d(joined, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        reduced = [reduce(stage) for reduce, stage in zip(self.reduce, stages, strict=True)]
        size = stages[0].shape[-2:]
        # Deepest first.
        joined = torch.cat([resize_aligned(r, size) for r in reduced[:0:-1]] + reduced[:1], dim=1)
        return self.merge(torch.cat([level(joined) for level in self.pyramid], dim=1))


class _ScaleAwarePyramidFusion(nn.Module):
    """SAP: one 3x3 kernel at dilation 1, 2 and 4, fused two by two by attention over the scales.

    Both fusions share the attention net, as released.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(3))
        self.attention = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels // 2, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels // 2, 2, 3, padding=1),
            nn.Softmax(dim=1),
        )
        self.gamma = nn.Parameter(torch.zeros(1))
        self.merge = _conv_bn_relu(channels, channels, 1)

    def _fuse(self, fine: Tensor, coarse: Tensor) -> Tensor:
        weight = self.attention(torch.cat([fine, coarse], dim=1))
        return weight[:, :1] * fine + weight[:, 1:] * coarse

    def forward(self, features: Tensor) -> Tensor:
        scale1 = self.norms[0](self.conv(features))
        scale2, scale4 = (
            norm(F.conv2d(features, self.conv.weight, padding=d, dilation=d))
            for norm, d in zip(self.norms[1:], (2, 4), strict=True)
        )
        fused = self._fuse(self._fuse(scale1, scale2), scale4)
        return self.merge(F.relu(self.gamma * fused + (1 - self.gamma) * features))


class _DecoderBlock(nn.Module):
    """3x3 conv-BN-ReLU where asked for, 2x resize, 1x1 conv-BN-ReLU."""

    def __init__(self, in_channels: int, out_channels: int, has_conv: bool = True) -> None:
        super().__init__()
        self.conv = _conv_bn_relu(in_channels, in_channels, 3) if has_conv else nn.Identity()
        self.project = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, features: Tensor, size: Sequence[int]) -> Tensor:
        return F.relu(self.norm(resize_aligned(self.project(self.conv(features)), size)))


class CPFNet(SegmentationNetwork):
    """CPFNet.

    Args:
        depth: ResNet layout of the encoder, 34 (the paper), 18, 50, 101 or 152.
    """

    title = "CPFNet"
    paper = "Feng et al., IEEE TMI 2020"
    reference_licence = "MIT"
    stride = 32
    min_size = 64  # px; 32 run, but leave the deepest batch norms the two slices' values alone
    own_loss = "cpfnet"

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
        c1, c2, c3, c4, c5 = self.encoder.channels
        self.gpg2 = _GlobalPyramidGuidance((c2, c3, c4, c5))
        self.gpg3 = _GlobalPyramidGuidance((c3, c4, c5))
        self.gpg4 = _GlobalPyramidGuidance((c4, c5))
        self.sap = _ScaleAwarePyramidFusion(c5)
        self.decoder5 = _DecoderBlock(c5, c4, has_conv=False)
        self.decoder4 = _DecoderBlock(c4, c3)
        self.decoder3 = _DecoderBlock(c3, c2)
        self.decoder2 = _DecoderBlock(c2, c1)
        self.project = _DecoderBlock(c1, _HEAD_CHANNELS, has_conv=False)
        self.head = nn.Sequential(
            _conv_bn_relu(_HEAD_CHANNELS, _HEAD_CHANNELS, 3),
            nn.Conv2d(_HEAD_CHANNELS, num_classes, 1),
        )

    @property
    def segments(self) -> list[nn.Module]:
        encoder = [self.encoder.stem, *self.encoder.stages]
        guidance = [self.gpg2, self.gpg3, self.gpg4]
        decoder = [self.decoder5, self.decoder4, self.decoder3, self.decoder2, self.project]
        return [*encoder, *guidance, self.sap, *decoder, self.head]

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        size = check_size(self, image)
        c1, c2, c3, c4, c5 = self.encoder(image)  # H/2 to H/32
        d5 = self.decoder5(self.sap(c5), c4.shape[-2:])
        d5 = F.relu(d5 + self.gpg4((c4, c5)))  # H/16
        d4 = F.relu(self.decoder4(d5, c3.shape[-2:]) + self.gpg3((c3, c4, c5)))  # H/8
        d3 = F.relu(self.decoder3(d4, c2.shape[-2:]) + self.gpg2((c2, c3, c4, c5)))  # H/4
        d2 = self.decoder2(d3, c1.shape[-2:]) + c1  # H/2
        return SegOutput(mask=self.head(self.project(d2, size)))
