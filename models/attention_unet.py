"""Attention U-Net: a U-Net whose skips pass additive attention gates.

Paper: O. Oktay, J. Schlemper, L. Le Folgoc et al., "Attention U-Net: Learning Where to Look for the
Pancreas", MIDL 2018, arXiv 1804.03999.

The authors' code (ozan-oktay/Attention-Gated-Networks, MIT) segments volumes only. The reference
implementation is the common 2-D network of LeeJunHyun/Image_Segmentation (no licence, not used
here). Its metrics threshold logits at 0.5 and compare a sum of booleans with 2, so that
sensitivity, precision and Dice print 0; not repeated here.

Deviations (the 2-D network against the paper's 3-D one):
    - The gate's signal is the upsampled decoder feature at the skip's own resolution; the paper
      takes it from one scale coarser, subsamples the skip to it, and upsamples the attention.
    - All skips are gated; the paper leaves the finest one open.
    - Batch norms within the gate, one of them on the single attention map before its sigmoid; no
      convolution follows the gated skip.
    - One head instead of four that are fused.
    - Four times the authors' channels, which they divide by 4 to fit volumes.
    - The network's own loss is the 2-D reference's cross-entropy; the paper's is Dice.
The batch norms cancel the biases of the convolutions before them, which are kept so that the number
of parameters is the published one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.parts.checks import check_choice, check_even, check_positive, check_size
from models.parts.network import SegmentationNetwork
from models.unet import NUM_LEVELS, ConvBlock
from utils.contracts import SegOutput


class _AttentionGate(nn.Module):
    """alpha = sigmoid(psi(ReLU(W_g g + W_x x))) (eq. 1 and 2), one map; returns it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = _project(channels, channels // 2)
        self.skip = _project(channels, channels // 2)
        self.psi = _project(channels // 2, 1)

    def forward(self, gate: Tensor, skip: Tensor) -> Tensor:
        return torch.sigmoid(self.psi(F.relu(self.gate(gate) + self.skip(skip))))


class _UpBlock(nn.Module):
    """2x upsampling to half the channels, gated skip, concatenation, two 3x3 conv-BN-ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(2 * channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        self.attention = _AttentionGate(channels)
        self.conv = ConvBlock(2 * channels, channels, channels, bias=True)

    def forward(self, features: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        up = self.up(features)
        alpha = self.attention(up, skip)
        return self.conv(torch.cat([alpha * skip, up], dim=1)), alpha


def _project(in_channels: int, out_channels: int) -> nn.Sequential:
    """1x1 convolution and batch norm."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), nn.BatchNorm2d(out_channels))


class AttentionUNet(SegmentationNetwork):
    """U-Net with an attention gate on each skip.

    Args:
        width: Channels at full resolution, even; doubled at each level below. 64 in the reference.
        num_levels: Resolutions from H x W down, 5 in the reference.
    """

    title = "Attention U-Net"
    paper = "Oktay et al., MIDL 2018"
    reference_licence = "none; the authors' (3-D): MIT"
    own_loss = "cross_entropy"

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 1,
        width: int = 64,
        num_levels: int = 5,
    ) -> None:
        super().__init__()
        check_positive(in_channels=in_channels, num_classes=num_classes)
        check_even("width", width)
        check_choice("num_levels", num_levels, NUM_LEVELS)
        channels = [width << level for level in range(num_levels)]
        inputs = [in_channels, *channels]
        self.encoder = nn.ModuleList(
            ConvBlock(inputs[level], c, c, bias=True) for level, c in enumerate(channels)
        )
        self.pool = nn.MaxPool2d(2)
        self.decoder = nn.ModuleList(_UpBlock(c) for c in reversed(channels[:-1]))
        self.head = nn.Conv2d(width, num_classes, 1)
        self.stride = self.min_size = 1 << (num_levels - 1)  # px: one at the lowest resolution

    @property
    def segments(self) -> list[nn.Module]:
        return [*self.encoder, *self.decoder]

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        """The maps: each skip's attention in [0, 1] at H x W, alpha_1 (the finest) to alpha_4."""
        size = check_size(self, image)
        skips = [self.encoder[0](image)]  # H x W
        for block in self.encoder[1:]:
            skips.append(block(self.pool(skips[-1])))  # H/2 to H/16
        features, maps = skips.pop(), {}
        for block in self.decoder:
            level = len(skips)
            features, alpha = block(features, skips.pop())  # H/8 up to H x W
            if with_maps:
                maps[f"alpha_{level}"] = F.interpolate(alpha, size=size, mode="nearest")
        return SegOutput(mask=self.head(features), maps=maps)
