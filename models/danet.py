"""DANet: a dilated ResNet with attention between positions and attention between channels.

Paper: J. Fu, J. Liu, H. Tian, Y. Li, Y. Bao, Z. Fang, H. Lu, "Dual Attention Network for Scene
Segmentation", CVPR 2019, doi 10.1109/CVPR.2019.00326, arXiv 1809.02983. Reference
implementation: junfu1115/DANet (MIT), with its published options (7x7 stem, multi-grid 4, 8, 16),
from ImageNet weights. As released it cannot train: its loss takes two outputs, the network gives
three. Here each of the three is supervised, as in the paper.

Deviations:
    - Channels gather by unlikeness, as in the authors' own implementation; eq. 3 prints the
      opposite sign. It is meant: the authors found the printed form worse (junfu1115/DANet#48).
    - Queries and keys of the position attention have an eighth of the channels, as in the
      reference; the paper gives them all.
    - The resizes align corners, as in the reference.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.parts.backbones import ResNetBackbone
from models.parts.checks import check_positive
from models.parts.network import SegmentationNetwork
from models.parts.resize import resize_aligned
from utils.contracts import SegOutput

_DROPOUT = 0.1
_REDUCTION = 8  # of the channels of queries and keys, as in the reference


class _ConvBlock(nn.Sequential):
    """3x3 conv-BN-ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class _PositionAttention(nn.Module):
    """Every position gathers from all positions by likeness (section 3.2, eq. 1 and 2).

    The fused attention keeps no map of all pairs of positions, but wants values as wide as the
    keys, an eighth of the channels: the values go through it as eight heads of the same pairs.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // _REDUCTION, 1)
        self.key = nn.Conv2d(channels, channels // _REDUCTION, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.scale = nn.Parameter(torch.zeros(()))  # alpha of eq. 2

    def forward(self, features: Tensor) -> Tensor:
        """E_j = alpha sum_i s_ji D_i + A_j, s_ji the softmax over i of B_i C_j.

        A are the features, B, C and D their keys, queries and values.
        """
        # (B, heads, HW, C / 8), the channels of a place side by side, as the fused kernels want it.
        queries, keys, values = (
            maps.flatten(2).unflatten(1, (heads, -1)).transpose(2, 3).contiguous()
            for maps, heads in (
                (self.query(features), 1),
                (self.key(features), 1),
                (self.value(features), _REDUCTION),
            )
        )
        pairs = [maps.expand(-1, _REDUCTION, -1, -1) for maps in (queries, keys)]
        gathered = F.scaled_dot_product_attention(*pairs, values, scale=1.0)
        gathered = gathered.transpose(2, 3).reshape(features.shape)
        return self.scale * gathered + features


class _ChannelAttention(nn.Module):
    """Every channel gathers from all channels by unlikeness (section 3.3, eq. 3 and 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(()))  # beta of eq. 4

    def forward(self, features: Tensor) -> Tensor:
        """E_j = beta sum_i x_ji A_i + A_j, x_ji the softmax over i of -A_i A_j.

        The reference takes the softmax of max_i(A_i A_j) - A_i A_j. The maximum is the same for
        the whole row, to which a softmax is blind: what is left is attention with queries -A.
        """
        rows = features.flatten(2)[:, None]  # (B, 1 head, C, HW)
        gathered = F.scaled_dot_product_attention(-rows, rows, rows, scale=1.0)
        return self.scale * gathered.reshape(features.shape) + features


class _Path(nn.Sequential):
    """A 3x3 convolution to the width of the attention, the attention, a 3x3 convolution."""

    def __init__(self, in_channels: int, channels: int, attention: nn.Module) -> None:
        super().__init__(
            _ConvBlock(in_channels, channels), attention, _ConvBlock(channels, channels)
        )


class _Head(nn.Sequential):
    """Dropout of whole channels, 1x1 convolution to logits."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__(nn.Dropout2d(_DROPOUT), nn.Conv2d(channels, num_classes, 1))


class DANet(SegmentationNetwork):
    """Dual Attention Network.

    Args:
        depth: ResNet layout, 18, 34, 50, 101 or 152; 50 and 101 in the paper.
    """

    title = "DANet"
    paper = "Fu et al., CVPR 2019"
    reference_licence = "MIT"
    heads = frozenset({"mask", "semantic"})
    own_loss = "cross_entropy"
    own_loss_args: ClassVar[dict[str, float]] = {"side_weight": 1.0}

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 1,
        depth: int = 50,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        check_positive(in_channels=in_channels, num_classes=num_classes)
        self.encoder = ResNetBackbone(
            depth,
            in_channels,
            strides=(1, 2, 1, 1),
            dilations=((1,), (1,), (1, 2), (4, 8, 16)),
            pretrained=pretrained,
        )
        in_channels = self.encoder.channels[-1]
        channels = in_channels // 4
        self.position = _Path(in_channels, channels, _PositionAttention(channels))
        self.channel = _Path(in_channels, channels, _ChannelAttention())
        self.head = _Head(channels, num_classes)
        self.position_head = _Head(channels, num_classes)
        self.channel_head = _Head(channels, num_classes)

    @property
    def segments(self) -> list[nn.Module]:
        return [self.encoder.stem, *self.encoder.stages, self.position, self.channel]

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        """The mask of both paths' sum; semantic: the position path's and the channel path's."""
        *_, c5 = self.encoder(image)  # H/8
        position, channel = self.position(c5), self.channel(c5)
        logits = [
            self.head(position + channel),
            self.position_head(position),
            self.channel_head(channel),
        ]
        mask, *semantic = (resize_aligned(maps, image) for maps in logits)
        return SegOutput(mask=mask, semantic=tuple(semantic))
