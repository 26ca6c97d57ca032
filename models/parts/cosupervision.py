"""The modules of the co-supervision paper: ESM, ASSM, AFM, and the fusions it is compared with.

Paper: see models/resunet.py, which puts them around an encoder and a decoder; sections 3.2 to 3.4.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.parts.resize import resize

Fusion = Literal["attention", "add", "concat", "none"]


class _SideHeads(nn.Module):
    """A 1x1 convolution per stage, to one map or several, resized: logits for a side loss."""

    def __init__(
        self, channels: Sequence[int], stages: Sequence[int], num_classes: int = 1
    ) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(
            {str(i): nn.Conv2d(channels[i - 1], num_classes, 1) for i in stages}
        )

    @property
    def stages(self) -> tuple[str, ...]:
        """S1 to S5, those that have a head, in the order of the outputs."""
        return tuple(f"S{i}" for i in self.heads)

    def forward(self, features: Sequence[Tensor], size: Sequence[int]) -> tuple[Tensor, ...]:
        # 1x1 convolution and bilinear resize are both linear, one over channels with the same
        # weights everywhere, the other over places with weights that sum to 1: they commute.
        return tuple(resize(head(features[int(i) - 1]), size) for i, head in self.heads.items())


class EdgeSupervisedModule(_SideHeads):
    """ESM: side outputs of low stages, supervised by the lesion's edge (section 3.2, eq. 1)."""


class AuxiliarySemanticSupervisedModule(_SideHeads):
    """ASSM: side outputs of high stages, supervised by mask or classes (section 3.3, eq. 2)."""


class AttentionFusionModule(nn.Module):
    """AFM: fuses X1 to X5 by attention (section 3.4, eq. 3 and 4, algorithm 1).

    The paper's order, per level: project to 64 channels, resize to H x W (X_i^u), 3x3 convolution
    to one channel and sigmoid (P_i), Y_i = P_i X_i^u; then S_p = X_1^u + Y_1 + (1 - P_1) sum Y_i
    and a projection of S_p to logits. Everything before the sigmoid is linear and P_i has one
    channel, so the logits need of X_i^u only its ten products with the 9 taps of the 3x3 kernel
    and with the output projection. Those ten maps are made at the level's own resolution by one
    1x1 convolution, resized, and the nine taps summed at their offsets (zeros outside the image,
    as the padding of the 3x3 convolution has it). No 64-channel map at H x W is ever made; values
    and gradients are those of algorithm 1.

    Args:
        channels: Channels of X1 to X5.
        fused_channels: Channels of X_i^u, 64 in the paper.
        num_classes: Channels of the logits.
    """

    def __init__(self, channels: Sequence[int], fused_channels: int, num_classes: int) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Conv2d(c, fused_channels, 1) for c in channels)
        self.gates = nn.ModuleList(nn.Conv2d(fused_channels, 1, 3, padding=1) for _ in channels)
        self.head = nn.Conv2d(fused_channels, num_classes, 1)
        offsets = torch.eye(9).view(1, 9, 3, 3)
        self.register_buffer("offsets", offsets, persistent=False)

    def _taps_and_score(self, level: int, features: Tensor, size: Sequence[int]) -> Tensor:
        """The nine tap maps and the class scores of one level, (B, 9 + K, H, W)."""
        projection, gate = self.projections[level], self.gates[level]
        taps = gate.weight[0].flatten(1).t()  # (9, C)
        reduce = torch.cat([taps, self.head.weight.flatten(1)])  # (9 + K, C)
        weight = reduce @ projection.weight.flatten(1)  # (9 + K, c_i)
        bias = reduce @ projection.bias
        return resize(F.conv2d(features, weight[..., None, None], bias), size)

    def forward(
        self, levels: Sequence[Tensor], size: Sequence[int], with_maps: bool = False
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Fuse the decoder's levels.

        Args:
            levels: X1 to X5, finest first.
            size: (H, W) of the image.
            with_maps: Return P_1, 1 - P_1, Y_1 and S_p as well (figure 8).

        Returns:
            Logits (B, K, H, W) of S_p, and the maps: confidences in [0, 1]; Y_1 and S_p as the
            logits of their own output projection.
        """
        confidence, score = [], []
        for level, features in enumerate(levels):
            maps = self._taps_and_score(level, features, size)
            gate = F.conv2d(maps[:, :9], self.offsets, self.gates[level].bias, padding=1)
            confidence.append(torch.sigmoid(gate))
            score.append(maps[:, 9:])
        gated = [p * s for p, s in zip(confidence, score, strict=True)]  # Y_i, eq. 4
        others = torch.stack(gated[1:]).sum(dim=0)
        bias = self.head.bias.view(1, -1, 1, 1)
        logits = score[0] + gated[0] + (1 - confidence[0]) * others + bias  # eq. 3
        if not with_maps:
            return logits, {}
        p1 = confidence[0]
        return logits, {"P_1": p1, "1 - P_1": 1 - p1, "Y_1": gated[0] + bias, "S_p": logits}


class LinearFusion(nn.Module):
    """The fusions that the paper compares with attention (table 5): addition and concatenation.

    Each level is projected to 64 channels and resized to H x W; the maps are added, or stacked;
    a 1x1 convolution gives the logits. All of it is linear, so each level's products with the
    output projection are taken at the level's own resolution and resized, as in
    AttentionFusionModule.

    Args:
        channels: Channels of X1 to X5.
        fused_channels: Channels of X_i^u.
        num_classes: Channels of the logits.
        concat: Stack the levels instead of adding them.
    """

    def __init__(
        self, channels: Sequence[int], fused_channels: int, num_classes: int, concat: bool
    ) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Conv2d(c, fused_channels, 1) for c in channels)
        num_parts = len(channels) if concat else 1
        self.head = nn.Conv2d(num_parts * fused_channels, num_classes, 1)
        self.concat = concat

    def forward(
        self, levels: Sequence[Tensor], size: Sequence[int], with_maps: bool = False
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Fuse the decoder's levels; there are no inner maps to show."""
        weight = self.head.weight.flatten(1)
        parts = weight.chunk(len(levels), dim=1) if self.concat else [weight] * len(levels)
        logits = self.head.bias.view(1, -1, 1, 1)
        for features, projection, part in zip(levels, self.projections, parts, strict=True):
            kernel = (part @ projection.weight.flatten(1))[..., None, None]
            logits = logits + resize(F.conv2d(features, kernel, part @ projection.bias), size)
        return logits, {}


class TopLevelHead(nn.Module):
    """No fusion: a 1x1 convolution on X1, the plain ResUNet of table 4."""

    def __init__(self, channels: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(channels[0], num_classes, 1)

    def forward(
        self, levels: Sequence[Tensor], size: Sequence[int], with_maps: bool = False
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits of the finest level; there are no inner maps to show."""
        return self.head(levels[0]), {}


def create_fusion(
    fusion: Fusion, channels: Sequence[int], fused_channels: int, num_classes: int
) -> nn.Module:
    """The fusion module of that name."""
    if fusion == "attention":
        return AttentionFusionModule(channels, fused_channels, num_classes)
    if fusion == "none":
        return TopLevelHead(channels, num_classes)
    return LinearFusion(channels, fused_channels, num_classes, concat=fusion == "concat")
