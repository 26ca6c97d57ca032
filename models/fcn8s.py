"""FCN8s: a fully convolutional VGG-16 whose scores of three resolutions are added.

Paper: J. Long, E. Shelhamer, T. Darrell, "Fully Convolutional Networks for Semantic Segmentation",
CVPR 2015, doi 10.1109/CVPR.2015.7298965, arXiv 1411.4038.

The reference implementation is wkentaro/pytorch-fcn (MIT text). It sets every convolution to 0, so
that without VGG-16 weights no parameter ever gets a gradient, and sums its loss over the pixels,
which only its learning rates of 1e-14 to 1e-10 fit. Neither is repeated here.

Deviations:
    - Score layers start random (Xavier, uniform), as the multi-class stage of Semi-Inf-Net has it.
      The paper starts them at 0, which suits layers trained on ImageNet: they would get no gradient
      in the first step.
    - Pool scores are added as they are, as in the paper's staged training; the reference's training
      at once multiplies pool4 by 0.01 and pool3 by 0.0001 first.
    - All upsampling kernels start bilinear and are learned, as in the reference; the paper fixes
      the last one.
    - Grey z-scored slices instead of blue-green-red ones with their mean subtracted.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import get_model

from models.parts.checks import check_choice, check_even, check_positive
from models.parts.network import SegmentationNetwork
from models.parts.weights import load_backbone
from utils.contracts import SegOutput

DEPTHS = (11, 13, 16, 19)
_FC6_KERNEL = 7
# With this padding of the first layer any image is large enough for fc6 and for every crop.
_PADDING = 100


class _BilinearUpsampling(nn.ConvTranspose2d):
    """Transposed convolution of twice its stride, each channel for itself at the start."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(channels, channels, 2 * stride, stride=stride, bias=False)
        places = (torch.arange(2 * stride) + 0.5) / stride - 1  # kernel widths from the centre
        triangle = 1 - places.abs()
        with torch.no_grad():
            self.weight.zero_()
            for channel in range(channels):
                self.weight[channel, channel] = torch.outer(triangle, triangle)


class FCN8s(SegmentationNetwork):
    """FCN8s on the layers of torchvision's VGG.

    Args:
        depth: Layers of the VGG, 11, 13, 16 (the paper) or 19.
        fc_channels: Channels of fc6 and fc7, even, 4096 in the paper.
        pretrained: Of the VGG; fc6 and fc7 too, where the file has them and fc_channels is 4096.
    """

    title = "FCN-8s"
    paper = "Long et al., CVPR 2015"
    reference_licence = "MIT"
    own_loss = "cross_entropy"

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 1,
        depth: int = 16,
        fc_channels: int = 4096,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        check_positive(in_channels=in_channels, num_classes=num_classes)
        check_choice("depth", depth, DEPTHS)
        check_even("fc_channels", fc_channels)
        name = f"vgg{depth}"
        vgg = get_model(name, weights=None, num_classes=1)  # fc8 is not used
        load_backbone(vgg, name, pretrained, in_channels, stem="features.0")
        self.stages = _stages(vgg.features)
        self.fc6 = nn.Conv2d(512, fc_channels, _FC6_KERNEL)
        self.fc7 = nn.Conv2d(fc_channels, fc_channels, 1)
        self.dropout = nn.Dropout2d(0.5)
        _fill_fc(self.fc6, vgg.classifier[0])
        _fill_fc(self.fc7, vgg.classifier[3])
        self.score_fc7 = _score(fc_channels, num_classes)
        self.score_pool4 = _score(512, num_classes)
        self.score_pool3 = _score(256, num_classes)
        self.up_fc7 = _BilinearUpsampling(num_classes, 2)
        self.up_pool4 = _BilinearUpsampling(num_classes, 2)
        self.up_pool3 = _BilinearUpsampling(num_classes, 8)

    @property
    def segments(self) -> list[nn.Module]:
        return list(self.stages)

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        features, pools = image, []
        for stage in self.stages:
            features = stage(features)
            pools.append(features)  # the padded image's H/2 to H/32
        features = self.dropout(F.relu(self.fc6(features)))
        features = self.dropout(F.relu(self.fc7(features)))
        up = self.up_fc7(self.score_fc7(features))  # H/16
        up = self.up_pool4(up + _crop(self.score_pool4(pools[3]), 5, up.shape[-2:]))  # H/8
        up = self.up_pool3(up + _crop(self.score_pool3(pools[2]), 9, up.shape[-2:]))
        return SegOutput(mask=_crop(up, 31, image.shape[-2:]))


def _stages(features: nn.Sequential) -> nn.ModuleList:
    """The five stages of a VGG, each ending in its pool, with the paper's padding and rounding."""
    features[0].padding = (_PADDING, _PADDING)
    stages: list[list[nn.Module]] = [[]]
    for layer in features:
        stages[-1].append(layer)
        if isinstance(layer, nn.MaxPool2d):
            layer.ceil_mode = True
            stages.append([])
    return nn.ModuleList(nn.Sequential(*layers) for layers in stages[:-1])


def _fill_fc(conv: nn.Conv2d, linear: nn.Linear) -> None:
    """Start a convolution as the VGG's fully connected layer; otherwise random where it differs."""
    if conv.weight.numel() == linear.weight.numel():
        conv.weight.data = linear.weight.detach().reshape(conv.weight.shape)
        conv.bias.data = linear.bias.detach()
    else:
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        nn.init.zeros_(conv.bias)


def _score(in_channels: int, num_classes: int) -> nn.Conv2d:
    """1x1 convolution to class scores."""
    conv = nn.Conv2d(in_channels, num_classes, 1)
    nn.init.xavier_uniform_(conv.weight)
    nn.init.zeros_(conv.bias)
    return conv


def _crop(features: Tensor, offset: int, size: torch.Size) -> Tensor:
    """The window of a size that starts at (offset, offset)."""
    height, width = size
    return features[..., offset : offset + height, offset : offset + width]
