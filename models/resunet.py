"""ResUNet with deep co-supervision (ESM, ASSM) and attention fusion (AFM).

Paper: H. Hu, L. Shen, Q. Guan, X. Li, Q. Zhou, S. Ruan, "Deep co-supervision and attention fusion
strategy for automatic COVID-19 lung infection segmentation on CT images", Pattern Recognition 124
(2022) 108452, doi 10.1016/j.patcog.2021.108452, arXiv 2112.10368. Trained from scratch.

The released implementation (GPL-3.0, not used here) differs from its paper: no supervision of the
encoder, edge targets for all five decoder levels through one shared head, sigmoids applied twice,
per-channel gates kept in a plain list (neither trained nor saved), a detour over twice the
resolution, and an output that is always 256 x 256. This file follows the paper.

Deviations:
    - 3 x 3 convolutions that feed a batch norm carry no bias, which the norm would cancel: 9,600
      parameters fewer than the paper-literal 29,189,355 (-0.03 %).
    - 1 x 1 convolutions run before the bilinear resize instead of after it, and the attention
      fusion runs on ten maps per level instead of 64: the same function (see
      AttentionFusionModule), at a fraction of the memory traffic.
    - Section 3.4 names no final projection; a 1 x 1 convolution maps S_p to logits, as released.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn

from models.parts.checks import check_choice, check_even, check_positive, check_size, check_stages
from models.parts.cosupervision import (
    AuxiliarySemanticSupervisedModule,
    EdgeSupervisedModule,
    Fusion,
    create_fusion,
)
from models.parts.network import SegmentationNetwork
from models.parts.resnet_encoder import RESNET_LAYOUT, ResNetEncoder
from models.parts.weight_files import load_resnet_layers
from utils.contracts import SegOutput
from utils.errors import UserError

NUM_STAGES = 5


class _ConvBlock(nn.Sequential):
    """Two 3x3 conv-BN-ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class _UpBlock(nn.Module):
    """2x transposed convolution, concatenation with the skip, two 3x3 conv-BN-ReLU."""

    def __init__(
        self, in_channels: int, up_channels: int, skip_channels: int, out_channels: int
    ) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, up_channels, 2, stride=2)
        self.conv = _ConvBlock(up_channels + skip_channels, out_channels)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        return self.conv(torch.cat([self.up(features), skip], dim=1))


class UNetDecoder(nn.Module):
    """The bridge X5 and the expansive path X4 to X1.

    Args:
        skip_channels: Channels of S1 to S5.
        width: Channels of X1 (64 in the paper); the bridge has 8 times as many.
    """

    def __init__(self, skip_channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.channels = (width, width, 2 * width, 4 * width, 8 * width)
        self.bridge = _ConvBlock(skip_channels[4], self.channels[4])
        self.up4 = _UpBlock(8 * width, 4 * width, skip_channels[3], 4 * width)
        self.up3 = _UpBlock(4 * width, 2 * width, skip_channels[2], 2 * width)
        self.up2 = _UpBlock(2 * width, width, skip_channels[1], width)
        # Half the width only here: S1 and S2 are equally wide in a ResNet.
        self.up1 = _UpBlock(width, width // 2, skip_channels[0], width)

    def forward(self, stages: Sequence[Tensor]) -> list[Tensor]:
        s1, s2, s3, s4, s5 = stages
        x5 = self.bridge(s5)  # H/16
        x4 = self.up4(x5, s4)  # H/8
        x3 = self.up3(x4, s3)  # H/4
        x2 = self.up2(x3, s2)  # H/2
        x1 = self.up1(x2, s1)  # H x W
        return [x1, x2, x3, x4, x5]


class ResUNet(SegmentationNetwork):
    """ResUNet with switches for every row of the paper's tables 3 to 5.

    Args:
        width: Channels at full resolution, even, 64 in the paper; scales every channel count.
        depth: ResNet layout, 18, 34 (the paper) or 50.
        edge_stages: Encoder stages 1 to 5 under ESM; (1, 2) in the paper.
        semantic_stages: Encoder stages 1 to 5 under ASSM; (3, 4, 5) in the paper.
        decoder_edge_stages: Decoder levels 1 to 5 under ESM (the starred rows of table 4).
        decoder_semantic_stages: Decoder levels 1 to 5 under ASSM (the starred rows of table 4).
        fusion: attention (the paper's AFM), add, concat (table 5) or none (plain ResUNet).
        lung_head: Segment the lungs as well, by a 1 x 1 convolution on X1; no part of the paper.
        lung_gate: Outside of training, no pixel is more likely a lesion than lung, so that there
            are no lesions in the gut; with a lung head and one class; no part of the paper.
        encoder_weights: A local file with torchvision ResNet weights of the same depth for the
            layers S2 to S5; None trains from scratch, as the paper does. Needs width 64.
    """

    title = "ResUNet with ESM, ASSM, AFM"
    paper = "Hu et al., Pattern Recognition 2022"
    reference_licence = "GPL-3.0"
    stride = min_size = 16  # px
    own_loss = "joint"

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 1,
        width: int = 64,
        depth: int = 34,
        edge_stages: Sequence[int] = (1, 2),
        semantic_stages: Sequence[int] = (3, 4, 5),
        decoder_edge_stages: Sequence[int] = (),
        decoder_semantic_stages: Sequence[int] = (),
        fusion: Fusion = "attention",
        lung_head: bool = False,
        lung_gate: bool = False,
        encoder_weights: str | Path | None = None,
    ) -> None:
        super().__init__()
        check_positive(in_channels=in_channels, num_classes=num_classes)
        check_choice("fusion", fusion, get_args(Fusion))
        check_choice("depth", depth, tuple(RESNET_LAYOUT))
        check_even("width", width)
        if lung_gate and (not lung_head or num_classes > 1):
            raise UserError("model.args.lung_gate: needs lung_head=true, and a single class")
        check_stages("edge_stages", edge_stages, "semantic_stages", semantic_stages, NUM_STAGES)
        check_stages(
            *("decoder_edge_stages", decoder_edge_stages),
            *("decoder_semantic_stages", decoder_semantic_stages),
            NUM_STAGES,
        )
        self.encoder = ResNetEncoder(in_channels, width, depth)
        self.decoder = UNetDecoder(self.encoder.channels, width)
        encoder_channels, decoder_channels = self.encoder.channels, self.decoder.channels
        self.esm = EdgeSupervisedModule(encoder_channels, edge_stages)
        self.assm = AuxiliarySemanticSupervisedModule(
            encoder_channels, semantic_stages, num_classes
        )
        self.decoder_esm = EdgeSupervisedModule(decoder_channels, decoder_edge_stages)
        self.decoder_assm = AuxiliarySemanticSupervisedModule(
            decoder_channels, decoder_semantic_stages, num_classes
        )
        self.fusion = create_fusion(fusion, decoder_channels, width, num_classes)
        self.lung_head = nn.Conv2d(decoder_channels[0], 1, 1) if lung_head else None
        self.lung_gate = lung_gate
        if encoder_weights is not None:
            load_resnet_layers(self.encoder, encoder_weights)

    @property
    def segments(self) -> list[nn.Module]:
        return [*self.encoder.children(), *self.decoder.children()]

    @property
    def own_loss_args(self) -> dict[str, float]:
        """Arguments of the joint loss: no weight for a kind of side output that is switched off."""
        weights = {"edge": "theta", "semantic": "beta"}
        own = {weight: 0.0 for kind, weight in weights.items() if kind not in self.heads}
        return own if self.lung_head is None else {**own, "lung": 1.0}

    @property
    def heads(self) -> frozenset[str]:
        edge = {"edge"} if self.esm.heads or self.decoder_esm.heads else set()
        semantic = {"semantic"} if self.assm.heads or self.decoder_assm.heads else set()
        lung = set() if self.lung_head is None else {"lung"}
        return frozenset({"mask"} | edge | semantic | lung)

    @property
    def side_outputs(self) -> dict[str, tuple[str, ...]]:
        """The stages behind SegOutput.edge and .semantic, in their order; X1 to X5 as S1* to S5*.

        The paper's names: table 4 stars what is supervised in the decoder.
        """
        return {
            "edge": (*self.esm.stages, *(f"{name}*" for name in self.decoder_esm.stages)),
            "semantic": (*self.assm.stages, *(f"{name}*" for name in self.decoder_assm.stages)),
        }

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        """Side outputs as switched on; the maps are P_1, 1 - P_1, Y_1 and S_p (figure 8)."""
        size = check_size(self, image)
        stages = self.encoder(image)  # S1 at H x W to S5 at H/16
        levels = self.decoder(stages)  # X1 at H x W to X5 at H/16
        mask, maps = self.fusion(levels, size, with_maps)
        edge = self.esm(stages, size) + self.decoder_esm(levels, size)
        semantic = self.assm(stages, size) + self.decoder_assm(levels, size)
        lung = None if self.lung_head is None else self.lung_head(levels[0])
        if self.lung_gate and not self.training:
            mask = torch.minimum(mask, lung)
        return SegOutput(mask=mask, edge=edge, semantic=semantic, lung=lung, maps=maps)
