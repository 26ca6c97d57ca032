"""DeepLabV3: atrous spatial pyramid pooling on a dilated encoder.

Paper: L.-C. Chen, G. Papandreou, F. Schroff, H. Adam, "Rethinking Atrous Convolution for Semantic
Image Segmentation", 2017, arXiv 1706.05587. Reference implementation:
VainF/DeepLabV3Plus-Pytorch (MIT), from ImageNet weights. Pyramid and head are torchvision's, with
the reference's rates, dropout and initialisation.

The reference's other two encoders lose pixels and a norm on the way, which is not repeated here:
its MobileNetV2 pads with zeros before the expansion of each block and not at all in the first
layer; its Xception pads the two dilated convolutions at the end by 1 px instead of 2, so that the
features shrink by 4 px, and leaves out the batch norm and ReLU behind the last one.

Deviations:
    - No multi-grid, as in the reference: stage 4 has dilations 1, 2, 2 at an output stride of 16
      and 2, 4, 4 at 8; the paper settles on 2, 4, 8 at 16.
    - A 3 x 3 convolution stands before the logits, as in the reference.
    - MobileNetV2 and Xception are the reference's choice; the paper has ResNets alone.
"""

from typing import ClassVar, Literal, get_args

from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import ASPP, DeepLabHead

from models.parts.backbones import MobileNetBackbone, ResNetBackbone, XceptionBackbone
from models.parts.checks import check_choice, check_positive, check_size
from models.parts.network import SegmentationNetwork
from models.parts.resize import resize
from utils.contracts import SegOutput

Trunk = Literal["resnet", "mobilenetv2", "xception"]
MIN_SIZE = {"resnet": 1, "mobilenetv2": 1, "xception": 7}  # px; Xception's first layers do not pad
# By output stride: strides and dilations of the four stages, rates of the pyramid. The ResNet's
# first stage keeps its input's size.
_STRIDES = {16: (1, 2, 2, 1), 8: (1, 2, 1, 1)}
_DILATIONS = {16: ((1,), (1,), (1,), (1, 2)), 8: ((1,), (1,), (1, 2), (2, 4))}
ATROUS_RATES = {16: (6, 12, 18), 8: (12, 24, 36)}
_DROPOUT = 0.1  # torchvision's 0.5 is another implementation's


def create_encoder(
    trunk: Trunk, depth: int, in_channels: int, output_stride: int, pretrained: str | None
) -> nn.Module:
    """The dilated encoder of DeepLabV3 and V3+.

    Args:
        trunk: Its family.
        depth: ResNet layout.
        in_channels: Channels of the image.
        output_stride: Of C5, 8 or 16 px.
        pretrained: See models.parts.backbones.ResNetBackbone.

    Raises:
        UserError: No such trunk, depth, output stride or weights.
    """
    check_choice("trunk", trunk, get_args(Trunk))
    check_choice("output_stride", output_stride, sorted(_STRIDES))
    strides, dilations = _STRIDES[output_stride], _DILATIONS[output_stride]
    if trunk == "resnet":
        return ResNetBackbone(
            depth, in_channels, strides=strides, dilations=dilations, pretrained=pretrained
        )
    create = MobileNetBackbone if trunk == "mobilenetv2" else XceptionBackbone
    strides = (2, *strides[1:])
    return create(in_channels, strides=strides, dilations=dilations, pretrained=pretrained)


def initialise_head(head: nn.Module) -> None:
    """Kaiming-normal convolutions and the reference's dropout in the pyramid; in place."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, ASPP):
            module.project[-1].p = _DROPOUT


class DeepLabV3(SegmentationNetwork):
    """DeepLabV3.

    Args:
        trunk: The encoder: resnet (the paper), mobilenetv2 or xception.
        depth: Of the ResNet: 18, 34, 50, 101 or 152; 50 and 101 in the paper.
        output_stride: 16 px, or 8 px at three times the computation.
    """

    title = "DeepLabV3"
    paper = "Chen et al., arXiv 1706.05587, 2017"
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
        rates = ATROUS_RATES[output_stride]
        self.head = DeepLabHead(self.encoder.channels[-1], num_classes, rates)
        initialise_head(self.head)
        self.min_size = MIN_SIZE[trunk]

    @property
    def segments(self) -> list[nn.Module]:
        return [self.encoder.stem, *self.encoder.stages, self.head]

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        """In training two slices or more, for the norm of the pooled branch."""
        check_size(self, image)
        *_, c5 = self.encoder(image)  # H/16 or H/8
        logits = self.head(c5)
        return SegOutput(mask=resize(logits, image))
