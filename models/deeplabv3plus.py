"""DeepLabV3+: DeepLabV3's pyramid as encoder, joined with low-level features in a small decoder.

Paper: L.-C. Chen, Y. Zhu, G. Papandreou, F. Schroff, H. Adam, "Encoder-Decoder with Atrous
Separable Convolution for Semantic Image Segmentation", ECCV 2018,
doi 10.1007/978-3-030-01234-2_49, arXiv 1802.02611. Reference implementation:
VainF/DeepLabV3Plus-Pytorch (MIT), from ImageNet weights.

Deviations:
    - One 3 x 3 convolution in the decoder, as in the reference; the paper settles on two. A second
      public implementation (jfzhang95/pytorch-deeplab-xception, MIT) has two, stacks the decoder's
      inputs in the other order, and dilates stage 4 by 2, 4, 8.
    - The Xception is the original one, as in the reference; the paper's modified aligned one has
      more layers. The paper has separable convolutions in pyramid and decoder, too.
    - What models/deeplabv3.py says of the reference's MobileNetV2 and Xception.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import ASPP

from models.deeplabv3 import ATROUS_RATES, MIN_SIZE, Trunk, create_encoder, initialise_head
from models.parts.checks import check_positive, check_size
from models.parts.network import SegmentationNetwork
from models.parts.resize import resize
from utils.contracts import SegOutput

_LOW_LEVEL_CHANNELS = 48
_PYRAMID_CHANNELS = 256


class _ConvBlock(nn.Sequential):
    """Convolution, BN, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        padding = kernel_size // 2
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class _Decoder(nn.Module):
    """Pyramid features, resized to the reduced low-level ones and stacked on them, to logits."""

    def __init__(self, low_level_channels: int, num_classes: int) -> None:
        super().__init__()
        self.low_level = _ConvBlock(low_level_channels, _LOW_LEVEL_CHANNELS, 1)
        self.conv = _ConvBlock(_LOW_LEVEL_CHANNELS + _PYRAMID_CHANNELS, 256, 3)
        self.head = nn.Conv2d(256, num_classes, 1)

    def forward(self, c2: Tensor, pyramid: Tensor) -> Tensor:
        low_level = self.low_level(c2)
        pyramid = resize(pyramid, low_level)
        return self.head(self.conv(torch.cat([low_level, pyramid], dim=1)))


class DeepLabV3Plus(SegmentationNetwork):
    """DeepLabV3+.

    Args:
        trunk: The encoder: resnet, mobilenetv2 or xception.
        depth: Of the ResNet: 18, 34, 50, 101 or 152; 101 in the paper.
        output_stride: 16 px, or 8 px at three times the computation.
    """

    title = "DeepLabV3+"
    paper = "Chen et al., ECCV 2018"
    reference_licence = "MIT"
    own_loss = "cross_entropy"
    own_loss_args: ClassVar[dict[str, float]] = {"side_weight": 0.0}

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 1,
        trunk: Trunk = "resnet",
        depth: int = 50,
        output_stride: int = 16,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        check_positive(in_channels=in_channels, num_classes=num_classes)
        self.encoder = create_encoder(trunk, depth, in_channels, output_stride, pretrained)
        _, c2_channels, *_, c5_channels = self.encoder.channels
        self.pyramid = ASPP(c5_channels, ATROUS_RATES[output_stride], _PYRAMID_CHANNELS)
        self.decoder = _Decoder(c2_channels, num_classes)
        for head in (self.pyramid, self.decoder):
            initialise_head(head)
        self.min_size = MIN_SIZE[trunk]

    @property
    def segments(self) -> list[nn.Module]:
        return [self.encoder.stem, *self.encoder.stages, self.pyramid, self.decoder]

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        """In training two slices or more, for the norm of the pooled branch."""
        check_size(self, image)
        _, c2, *_, c5 = self.encoder(image)  # H/4; H/16 or H/8
        logits = self.decoder(c2, self.pyramid(c5))
        return SegOutput(mask=resize(logits, image))
