"""PSPNet: pyramid pooling of a dilated ResNet's features, with an auxiliary head on its stage 3.

Paper: H. Zhao, J. Shi, X. Qi, X. Wang, J. Jia, "Pyramid Scene Parsing Network", CVPR 2017,
doi 10.1109/CVPR.2017.660, arXiv 1612.01105. Reference implementation: hszhao/semseg (MIT). It
starts from ImageNet weights, insists on two classes or more and on sides of 8 k + 1 px, and gives
its auxiliary output in training only; here one class, any size, and the output in both modes.

Deviations:
    - The encoder with a deep stem is timm's, and so are its ImageNet weights; the authors have
      files of their own.
    - The resizes align corners, as in the reference.
"""

import torch
from torch import Tensor, nn

from models.parts.backbones import ResNetBackbone
from models.parts.checks import check_positive
from models.parts.network import SegmentationNetwork
from models.parts.resize import resize_aligned
from utils.contracts import SegOutput

_BINS = (1, 2, 3, 6)  # cells per side of the pyramid's levels
_DROPOUT = 0.1


class _ConvBlock(nn.Sequential):
    """Convolution, BN, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        padding = kernel_size // 2
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class _Head(nn.Sequential):
    """3x3 conv-BN-ReLU, dropout of whole channels, 1x1 convolution to logits."""

    def __init__(self, in_channels: int, channels: int, num_classes: int) -> None:
        super().__init__(
            _ConvBlock(in_channels, channels, 3),
            nn.Dropout2d(_DROPOUT),
            nn.Conv2d(channels, num_classes, 1),
        )


class _PyramidPooling(nn.Module):
    """Averages over 1, 2 x 2, 3 x 3 and 6 x 6 cells, each reduced, resized and stacked on C5."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        channels = in_channels // len(_BINS)
        self.levels = nn.ModuleList(_ConvBlock(in_channels, channels, 1) for _ in _BINS)
        self.out_channels = in_channels + len(_BINS) * channels

    def forward(self, features: Tensor) -> Tensor:
        size = features.shape[-2:]
        pooled = [
            resize_aligned(level(_average_cells(features, bins)), size)
            for level, bins in zip(self.levels, _BINS, strict=True)
        ]
        return torch.cat([features, *pooled], dim=1)


def _average_cells(features: Tensor, bins: int) -> Tensor:
    """(B, C, H, W) to (B, C, bins, bins), as adaptive average pooling.

    Two matrix products: torch's own pooling to a size that does not divide H has no deterministic
    gradient on a GPU, and its ONNX graph holds for the exported size alone, without a warning.
    """
    rows, columns = (_cell_weights(features, side, bins) for side in features.shape[-2:])
    return rows @ features @ columns.transpose(0, 1)


def _cell_weights(features: Tensor, length: int, bins: int) -> Tensor:
    """(bins, length): row i averages the places floor(i L / bins) to ceil((i + 1) L / bins) - 1."""
    place = torch.arange(length, device=features.device)
    cell = torch.arange(bins, device=features.device)[:, None]
    start, stop = cell * length // bins, ((cell + 1) * length + bins - 1) // bins
    is_inside = (place >= start) & (place < stop)
    return is_inside.to(features.dtype) / (stop - start).to(features.dtype)


class PSPNet(SegmentationNetwork):
    """Pyramid Scene Parsing Network.

    Args:
        depth: ResNet layout, 50, 101 or 152, all with a deep stem of three 3x3 convolutions.
        auxiliary: The head on stage 3 (section 4 of the paper), one semantic side output.
    """

    title = "PSPNet"
    paper = "Zhao et al., CVPR 2017"
    reference_licence = "MIT"
    own_loss = "cross_entropy"

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 1,
        depth: int = 50,
        auxiliary: bool = True,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        check_positive(in_channels=in_channels, num_classes=num_classes)
        self.encoder = ResNetBackbone(
            depth,
            in_channels,
            strides=(1, 2, 1, 1),
            dilations=((1,), (1,), (2,), (4,)),
            deep_stem=True,
            pretrained=pretrained,
        )
        *_, c4_channels, c5_channels = self.encoder.channels
        self.pyramid = _PyramidPooling(c5_channels)
        self.head = _Head(self.pyramid.out_channels, 512, num_classes)
        self.auxiliary_head = _Head(c4_channels, 256, num_classes) if auxiliary else None

    @property
    def heads(self) -> frozenset[str]:
        return frozenset({"mask"} if self.auxiliary_head is None else {"mask", "semantic"})

    @property
    def own_loss_args(self) -> dict[str, float]:
        """Cross-entropy, 0.4 times on the auxiliary output where there is one (section 4)."""
        return {"side_weight": 0.0 if self.auxiliary_head is None else 0.4}

    @property
    def segments(self) -> list[nn.Module]:
        return [self.encoder.stem, *self.encoder.stages, self.pyramid, self.head]

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        """In training two slices or more, for the norm of the 1 x 1 level."""
        size = image.shape[-2:]
        *_, c4, c5 = self.encoder(image)  # both at H/8
        mask = resize_aligned(self.head(self.pyramid(c5)), size)
        if self.auxiliary_head is None:
            return SegOutput(mask=mask)
        return SegOutput(mask=mask, semantic=(resize_aligned(self.auxiliary_head(c4), size),))
