"""U-Net with batch norm and same-size convolutions.

Paper: O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015, doi 10.1007/978-3-319-24574-4_28, arXiv 1505.04597.

The reference implementation is milesial/Pytorch-UNet (GPL-3.0, not used here). It differs from the
paper in what stands under Deviations; its gradient checkpointing calls a module object and stops
with an error, which is not repeated here.

Deviations:
    - Padded convolutions: the logits have the image's size. The paper's valid convolutions turn
      572 x 572 px into 388 x 388 px.
    - A batch norm follows each 3 x 3 convolution, which then carries no bias; the paper predates
      batch norm.
    - No dropout at the end of the contracting path.
    - Features whose sides are odd are padded by one row or column after upsampling, so that any
      size fits; the paper crops the skip.
    - The network's own loss is the reference's BCE + Dice; the paper's is a cross-entropy that
      weighs the borders between touching cells.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.parts.checks import check_choice, check_even, check_positive, check_size
from models.parts.network import SegmentationNetwork
from utils.contracts import SegOutput

NUM_LEVELS = (2, 3, 4, 5, 6)


class ConvBlock(nn.Sequential):
    """Two 3x3 conv-BN-ReLU.

    Args:
        in_channels: Of the input.
        middle_channels: Between the convolutions.
        out_channels: Of the output.
        bias: Whether the convolutions carry one, though the batch norm cancels it.
    """

    def __init__(
        self, in_channels: int, middle_channels: int, out_channels: int, *, bias: bool = False
    ) -> None:
        super().__init__(
            nn.Conv2d(in_channels, middle_channels, 3, padding=1, bias=bias),
            nn.BatchNorm2d(middle_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(middle_channels, out_channels, 3, padding=1, bias=bias),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class _UpBlock(nn.Module):
    """2x upsampling, padding to the skip's size, concatenation, two 3x3 conv-BN-ReLU."""

    def __init__(
        self, in_channels: int, skip_channels: int, out_channels: int, bilinear: bool
    ) -> None:
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            up_channels = in_channels
        else:
            up_channels = in_channels // 2
            self.up = nn.ConvTranspose2d(in_channels, up_channels, 2, stride=2)
        joined = skip_channels + up_channels
        self.conv = ConvBlock(joined, joined // 2, out_channels)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        up = self.up(features)
        missing = [skip.shape[d] - up.shape[d] for d in (-2, -1)]  # 1 where the skip is odd
        if any(missing):
            up = F.pad(up, (0, missing[1], 0, missing[0]))
        return self.conv(torch.cat([skip, up], dim=1))


class UNet(SegmentationNetwork):
    """U-Net: a contracting and an expansive path with skips between them.

    Args:
        width: Channels at full resolution, even, 64 in the paper; doubled at each level below.
        num_levels: Resolutions from H x W down, 5 in the paper.
        bilinear: Upsample bilinearly instead of by transposed convolutions, with half the channels
            at the lowest resolution and in the expansive path.
    """

    title = "U-Net"
    paper = "Ronneberger et al., MICCAI 2015"
    reference_licence = "GPL-3.0"
    own_loss = "bce_dice"
    own_loss_args: ClassVar[dict[str, float | str]] = {"bce_weight": 1.0, "reduction": "batch"}

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 1,
        width: int = 64,
        num_levels: int = 5,
        bilinear: bool = False,
    ) -> None:
        super().__init__()
        check_positive(in_channels=in_channels, num_classes=num_classes)
        check_even("width", width)
        check_choice("num_levels", num_levels, NUM_LEVELS)
        channels = [width << level for level in range(num_levels)]
        outputs = [c // 2 for c in channels] if bilinear else channels
        channels[-1], outputs[0] = outputs[-1], width
        inputs = [in_channels, *channels]
        self.encoder = nn.ModuleList(
            ConvBlock(inputs[level], c, c) for level, c in enumerate(channels)
        )
        self.pool = nn.MaxPool2d(2)
        self.decoder = nn.ModuleList(
            _UpBlock(outputs[level + 1], channels[level], outputs[level], bilinear)
            for level in reversed(range(num_levels - 1))
        )
        self.head = nn.Conv2d(width, num_classes, 1)
        self.min_size = 1 << (num_levels - 1)  # px: one at the lowest resolution

    @property
    def segments(self) -> list[nn.Module]:
        return [*self.encoder, *self.decoder]

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        check_size(self, image)
        skips = self._contract(image)  # H x W down to H/16
        features = skips.pop()
        for block in self.decoder:
            features = block(features, skips.pop())  # H/8 up to H x W
        return SegOutput(mask=self.head(features))

    def _contract(self, image: Tensor) -> list[Tensor]:
        """The features of each resolution, finest first."""
        levels = [self.encoder[0](image)]
        for block in self.encoder[1:]:
            levels.append(block(self.pool(levels[-1])))
        return levels
