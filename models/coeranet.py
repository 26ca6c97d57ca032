"""Co-ERA-Net: lung and infection flows with region fusion attention between them.

Papers: Z. He, A. N. N. Wong, J. S. Yoo, "Integrating Dual-Supervision and Region Fusion Attention
for COVID-19 Image Segmentation" (poster); the same network in full in Z. He, A. N. N. Wong,
J. S. Yoo, "Co-ERA-Net: Co-Supervision and Enhanced Region Attention for Accurate Segmentation in
COVID-19 Chest Infection Images", Bioengineering 10(8):928 (2023),
doi 10.3390/bioengineering10080928. Pre-trained on ImageNet, lung masks in training only.

The published implementation (github.com/JerrycvWork/Segmentation_Combination_code, no licence, not
used here) declares dilation rates 1, 3 and 5 in each attention but runs 1, 5 and 5, the last two
through one convolution and one batch norm, which is thus updated twice per step; the rate 3 is
never called. It keeps the encoder's unused classifier and, with ResNet-50, its unused stage 4.

Deviations:
    - The declared rates 1, 3 and 5, each with its own convolution and batch norm.
    - Lung and infection logits are resized; the published code resizes the probabilities of the
      two coarser scales.
    - 3 x 3 convolutions that feed a batch norm carry no bias, which the norm would cancel.
    - 1 x 1 heads run before the bilinear resize instead of after it: both are linear and the
      resize weights sum to 1, so they commute.
"""

import torch
from torch import Tensor, nn
from torchvision import models as torchvision_models
from torchvision.models.convnext import LayerNorm2d

from models.parts.backbones import RESNET_DEPTHS, ResNetBackbone, lay_out, run_stages
from models.parts.checks import check_choice, check_positive, check_size
from models.parts.network import SegmentationNetwork
from models.parts.resize import resize_aligned
from models.parts.weights import load_backbone
from utils.contracts import SegOutput
from utils.errors import UserError

_CONVNEXTS = tuple(f"convnext_{size}" for size in ("tiny", "small", "base", "large"))
TRUNKS = (*_CONVNEXTS, *(f"resnet{depth}" for depth in RESNET_DEPTHS))
_ATTENTION_MAPS = ("region attention", "fusion attention")


class _ConvBlock(nn.Sequential):
    """3x3 conv-BN-ReLU."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int = 1) -> None:
        super().__init__(
            nn.Conv2d(
                in_channels, out_channels, 3, padding=dilation, dilation=dilation, bias=False
            ),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class RegionFusionAttention(nn.Module):
    """Region fusion attention: r V, where r is read off a V at three dilation rates.

    a = sigmoid(conv(L)) is the region attention of the lung features L; the fusion attention
    r = conv([t_1, t_3, t_5]) of t_d = ReLU(BN(conv_d(a V))) has one channel and, as published, no
    sigmoid: it is unbounded and may be negative.

    Args:
        channels: Of the lung features L and the infection features V.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.region = nn.Conv2d(channels, 1, 3, padding=1)
        self.branches = nn.ModuleList(_ConvBlock(channels, channels, d) for d in (1, 3, 5))
        self.fusion = nn.Conv2d(3 * channels, 1, 3, padding=1)

    def forward(self, lung: Tensor, infection: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The weighted features r V, and the maps a and r."""
        region = torch.sigmoid(self.region(lung))
        gated = region * infection
        fusion = self.fusion(torch.cat([branch(gated) for branch in self.branches], dim=1))
        return fusion * infection, (region, fusion)


class _DualBlock(nn.Module):
    """One step of both flows; without lung_flow the infection flow alone."""

    def __init__(
        self, in_channels: int, out_channels: int, lung_flow: bool, region_fusion: bool
    ) -> None:
        super().__init__()
        self.lung = _ConvBlock(in_channels, out_channels) if lung_flow else None
        self.infection = _ConvBlock(in_channels, out_channels)
        self.attention = RegionFusionAttention(out_channels) if region_fusion else None

    def forward(
        self, lung: Tensor | None, infection: Tensor
    ) -> tuple[Tensor | None, Tensor, tuple[Tensor, ...]]:
        infection = self.infection(infection)
        lung = None if self.lung is None else self.lung(lung)
        if self.attention is None:
            return lung, infection, ()
        return lung, *self.attention(lung, infection)


class _ConvNeXtTrunk(nn.Module):
    """Features of the four ConvNeXt stages, H/4 to H/32, each with a layer norm of its own."""

    stride = 32

    def __init__(self, name: str, in_channels: int, pretrained: str | None) -> None:
        super().__init__()
        # Stochastic depth is off in the published network; torchvision's default is 0.4.
        net = torchvision_models.get_model(name, weights=None, stochastic_depth_prob=0.0)
        load_backbone(net, name, pretrained, in_channels, stem="features.0.0")
        # torchvision alternates (stem or downsampling, stage).
        self.stages = nn.ModuleList(net.features[i : i + 2] for i in (0, 2, 4, 6))
        self.channels = tuple(stage[1][-1].block[0].in_channels for stage in self.stages)
        self.norms = nn.ModuleList(LayerNorm2d(c, eps=1e-6) for c in self.channels)

    def forward(self, image: Tensor) -> list[Tensor]:
        features = []
        for stage, norm in zip(self.stages, self.norms, strict=True):
            image = stage(image)
            features.append(norm(image))
        return features


class _ResNetTrunk(ResNetBackbone):
    """Features of the ResNet's stem behind its max pool and of three stages, H/4 to H/16."""

    stride = 16

    def __init__(self, name: str, in_channels: int, pretrained: str | None) -> None:
        super().__init__(int(name.removeprefix("resnet")), in_channels, pretrained=pretrained)
        self.stages = self.stages[:3]
        self.channels = self.channels[:4]

    def forward(self, image: Tensor) -> list[Tensor]:
        stem = self.pool(self.stem(lay_out(image)))
        return [stem, *run_stages(self.stages, stem)]


class CoERANet(SegmentationNetwork):
    """Co-ERA-Net with switches for the rows of the ablation study.

    Both flows start from the trunk's deepest features and are joined with its finer ones on the
    way up. Rows of the poster's table: lung_flow and region_fusion off (baseline), region_fusion
    off (lung region), both on (the method).

    Args:
        trunk: The encoder, one of TRUNKS; convnext_small as published, resnet50 its variant. Sides
            are multiples of 32 px with a ConvNeXt, of 16 px with a ResNet.
        lung_flow: Segment the lung as well, in a flow of its own.
        region_fusion: Let the lung flow guide the infection flow by RegionFusionAttention; needs
            lung_flow.
    """

    title = "Co-ERA-Net"
    paper = "He et al., Bioengineering 2023"
    reference_licence = "none"
    own_loss = "coeranet"

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 1,
        trunk: str = "convnext_small",
        lung_flow: bool = True,
        region_fusion: bool = True,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        check_positive(in_channels=in_channels, num_classes=num_classes)
        check_choice("trunk", trunk, TRUNKS)
        if region_fusion and not lung_flow:
            raise UserError(
                "model.args.region_fusion: the attention reads the lung flow; "
                "set model.args.lung_flow to true or this to false"
            )
        create_trunk = _ConvNeXtTrunk if trunk in _CONVNEXTS else _ResNetTrunk
        self.trunk = create_trunk(trunk, in_channels, pretrained)
        self.stride = self.min_size = self.trunk.stride
        widths = self.trunk.channels
        self.blocks = nn.ModuleList()
        for deep, width in zip(widths[:0:-1], widths[-2::-1], strict=True):
            self.blocks.append(_DualBlock(deep, width, lung_flow, region_fusion))
            self.blocks.append(_DualBlock(2 * width, width, lung_flow, region_fusion))
        self.scale_heads = nn.ModuleList(nn.Conv2d(c, 1, 1) for c in widths[-2::-1])
        self.mask_head = nn.Conv2d(widths[0], num_classes, 1)
        self.lung_head = nn.Conv2d(widths[0], 1, 1) if lung_flow else None
        lung_widths = widths[-2::-1] if lung_flow else ()
        self.lung_scale_heads = nn.ModuleList(nn.Conv2d(c, 1, 1) for c in lung_widths)

    @property
    def segments(self) -> list[nn.Module]:
        return [*self.trunk.stages, *self.blocks]

    @property
    def heads(self) -> frozenset[str]:
        return frozenset({"mask", "semantic"} | (set() if self.lung_head is None else {"lung"}))

    @property
    def own_loss_args(self) -> dict[str, float]:
        """The paper's loss without its lung term, where there is no lung flow."""
        return {"lung_weight": 0.0} if self.lung_head is None else {}

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        """The infection in mask, the lung in lung.

        Both come at the three scales of the decoder as well, coarsest first, in semantic and
        lung_sides. As published, the finest scale and the final map are two heads on the same
        features. The maps are the finest region attention, in [0, 1], and the finest fusion
        attention, unbounded; both at H x W.
        """
        size = check_size(self, image)
        *skips, infection = self.trunk(image)  # ConvNeXt: H/4 to H/32; ResNet: H/4 to H/16
        lung = infection if self.lung_head is not None else None
        semantic, lung_sides, attention = [], [], ()
        for step, skip in enumerate(reversed(skips)):
            lung, infection, _ = self.blocks[2 * step](lung, infection)
            infection = self._join(infection, skip)
            lung = None if lung is None else self._join(lung, skip)
            lung, infection, attention = self.blocks[2 * step + 1](lung, infection)
            semantic.append(resize_aligned(self.scale_heads[step](infection), size))
            if lung is not None:
                lung_sides.append(resize_aligned(self.lung_scale_heads[step](lung), size))
        maps = zip(_ATTENTION_MAPS, attention, strict=False) if with_maps else ()
        return SegOutput(
            mask=resize_aligned(self.mask_head(infection), size),
            semantic=tuple(semantic),
            lung=None if lung is None else resize_aligned(self.lung_head(lung), size),
            maps={name: resize_aligned(values, size) for name, values in maps},
            lung_sides=tuple(lung_sides),
        )

    @staticmethod
    def _join(flow: Tensor, skip: Tensor) -> Tensor:
        """The flow at twice its resolution, with the trunk's features of that resolution."""
        return torch.cat([resize_aligned(flow, skip.shape[-2:]), skip], dim=1)
