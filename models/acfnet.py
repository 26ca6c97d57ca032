"""ACFNet: a coarse segmentation, class centres, and features mixed of them per pixel.

Paper: F. Zhang, Y. Chen, Z. Li, Z. Hong, J. Liu, F. Ma, J. Han, E. Ding, "ACFNet: Attentional
Class Feature Network for Semantic Segmentation", ICCV 2019, doi 10.1109/ICCV.2019.00690,
arXiv 1909.09408. The authors released no code; ResNet-101 with ASPP, pre-trained on ImageNet.

The widths are those of an unofficial implementation (github.com/zrl4836/ACFNet, no licence, not
used here), which differs from the paper: in place of class centres it takes a softmax over the 512
channels of products with the raw coarse logits, not divided by a class's mass; its encoder has ECA
gates, its final head a leaky ReLU. This file follows the paper.

Deviations:
    - With one class, the two classes of the centres are (1 - p, p) of the coarse sigmoid map.
    - 3 x 3 convolutions that feed a batch norm carry no bias, which the norm would cancel.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.parts.backbones import ResNetBackbone
from models.parts.checks import check_choice, check_positive
from models.parts.network import SegmentationNetwork
from models.parts.resize import resize_aligned
from utils.contracts import SegOutput
from utils.errors import UserError

DEPTHS = (50, 101, 152)
_WIDTH = 512


def _conv_block(
    in_channels: int, out_channels: int, kernel: int = 1, dilation: int = 1
) -> list[nn.Module]:
    """Convolution, batch norm, ReLU at the same resolution."""
    padding = dilation * (kernel // 2)
    return [
        nn.Conv2d(
            in_channels, out_channels, kernel, padding=padding, dilation=dilation, bias=False
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


def _create_head(in_channels: int, width: int, num_classes: int) -> nn.Sequential:
    """3x3 conv-BN-ReLU, dropout, 1x1 convolution to logits."""
    return nn.Sequential(
        *_conv_block(in_channels, width, 3), nn.Dropout(0.1), nn.Conv2d(width, num_classes, 1)
    )


class _ASPP(nn.Module):
    """Atrous spatial pyramid pooling without a projection: five branches, concatenated."""

    def __init__(self, in_channels: int, width: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.point = nn.Sequential(*_conv_block(in_channels, width))
        self.atrous = nn.ModuleList(
            nn.Sequential(*_conv_block(in_channels, width, 3, d)) for d in dilations
        )
        self.pooled = nn.Sequential(*_conv_block(in_channels, width))
        self.out_channels = (2 + len(dilations)) * width

    def forward(self, features: Tensor) -> Tensor:
        pooled = self.pooled(features.mean(dim=(2, 3), keepdim=True))
        local = [self.point(features), *(branch(features) for branch in self.atrous)]
        return torch.cat([*local, pooled.expand_as(local[0])], dim=1)


def _log_probabilities(logits: Tensor) -> Tensor:
    """Log-softmax over the classes; of one sigmoid map, those of background and foreground."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if logits.shape[1] == 1:
        return F.logsigmoid(torch.cat([-logits, logits], dim=1))
    return torch.log_softmax(logits, dim=1)


class AttentionalClassFeature(nn.Module):
    """ACF module: class centre block and class attention block.

    With P the class probabilities of the coarse map and f the reduced features, the centre of
    class i is c_i = sum_j P_ij f_j / sum_j P_ij over the pixels j, and the pixel's class feature
    sum_i P_ij c_i, refined by a 1x1 convolution. The quotient is taken as a softmax of log P over
    the pixels, which stays finite for a class without mass.

    Args:
        in_channels: Of the features.
        width: Of f, the centres and the result.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.reduce = nn.Sequential(*_conv_block(in_channels, width), nn.Dropout(0.2))
        self.refine = nn.Conv2d(width, width, 1)

    def forward(self, features: Tensor, coarse: Tensor) -> Tensor:
        reduced = self.reduce(features)
        log_prob = _log_probabilities(coarse).flatten(2)  # (B, N, HW)
        pixels = reduced.flatten(2)  # (B, C, HW)
        centers = torch.softmax(log_prob, dim=2).to(pixels) @ pixels.transpose(1, 2)  # (B, N, C)
        mixed = centers.transpose(1, 2) @ log_prob.exp().to(centers)  # (B, C, HW)
        return self.refine(mixed.reshape(reduced.shape))


class ACFNet(SegmentationNetwork):
    """ACFNet on a dilated ResNet with ASPP at an eighth of the resolution.

    Args:
        depth: ResNet layout, 50, 101 (the paper) or 152.
        aspp_dilations: Of the 3x3 branches of ASPP.
        pretrained: By timm's names (resnet101s, with three 3x3 convolutions as its stem).
    """

    title = "ACFNet"
    paper = "Zhang et al., ICCV 2019"
    reference_licence = "none; not the authors'"
    heads = frozenset({"mask", "semantic"})
    own_loss = "acfnet"

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 1,
        depth: int = 101,
        aspp_dilations: Sequence[int] = (12, 24, 36),
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        check_positive(in_channels=in_channels, num_classes=num_classes)
        check_choice("depth", depth, DEPTHS)
        if any(dilation < 1 for dilation in aspp_dilations):
            raise UserError(
                f"model.args.aspp_dilations: must be at least 1, not {min(aspp_dilations)}"
            )
        self.encoder = ResNetBackbone(
            depth,
            in_channels,
            strides=(1, 2, 1, 1),
            dilations=((1,), (1,), (2,), (4,)),
            deep_stem=True,
            # 8 k px give k + 1 places 8 px apart, whose outer ones lie on the image's corners:
            # what a resize that keeps the corners in place takes them for.
            ceil_pool=True,
            pretrained=pretrained,
        )
        *_, c4, c5 = self.encoder.channels
        self.aspp = _ASPP(c5, _WIDTH, aspp_dilations)
        width = self.aspp.out_channels
        self.coarse_head = nn.Sequential(
            *_conv_block(width, _WIDTH),
            nn.Dropout2d(0.5),
            *_conv_block(_WIDTH, _WIDTH, 3),
            nn.Dropout(0.1),
            nn.Conv2d(_WIDTH, num_classes, 1),
        )
        self.class_feature = AttentionalClassFeature(width, _WIDTH)
        self.mask_head = _create_head(_WIDTH + width, 2 * _WIDTH, num_classes)
        self.auxiliary_head = _create_head(c4, c4 // 4, num_classes)

    @property
    def segments(self) -> list[nn.Module]:
        encoder = [self.encoder.stem, *self.encoder.stages]
        return [*encoder, self.aspp, self.coarse_head, self.class_feature, self.mask_head]

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        """In training two slices or more, for the batch norm of the pooled branch.

        Semantic side outputs: the coarse segmentation, and that of the encoder's third stage.
        """
        size = image.shape[-2:]
        *_, c4, c5 = self.encoder(image)  # both at H/8
        context = self.aspp(c5)
        coarse = self.coarse_head(context)
        class_feature = self.class_feature(context, coarse)
        mask = self.mask_head(torch.cat([class_feature, context], dim=1))
        logits = [resize_aligned(maps, size) for maps in (mask, coarse, self.auxiliary_head(c4))]
        return SegOutput(mask=logits[0], semantic=(logits[1], logits[2]))
