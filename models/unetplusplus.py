"""UNet++: a U-Net whose skips run through nested, dense convolution blocks.

Paper: Z. Zhou, M. M. R. Siddiquee, N. Tajbakhsh, J. Liang, "UNet++: Redesigning Skip Connections to
Exploit Multiscale Features in Image Segmentation", IEEE Transactions on Medical Imaging 39 (2020),
doi 10.1109/TMI.2019.2959609, arXiv 1912.05074; first in DLMIA 2018, arXiv 1807.10165.

The reference implementation is 4uiiurz1/pytorch-nested-unet (MIT); the authors' own code may only
be used non-commercially and was not used here. The reference leaves deep supervision off by
default, as here.

Deviations:
    - Batch norms and bilinear upsampling are the reference's choice; the paper's eq. 1 leaves both
      open. The batch norms cancel the biases of the convolutions before them, which are kept so
      that the number of parameters is the published one.
    - With deep supervision the mask is the last head's, as the reference scores it and as the
      paper's fast mode reads it; the paper's accurate mode takes the mean of all heads.
"""

import torch
from torch import Tensor, nn

from models.parts.checks import check_choice, check_even, check_positive, check_size
from models.parts.network import SegmentationNetwork
from models.unet import NUM_LEVELS, ConvBlock
from utils.contracts import SegOutput


class UNetPlusPlus(SegmentationNetwork):
    """UNet++: nodes X^(i,j) of depth i and column j.

    X^(i,0) = H(pool(X^(i-1,0))) and X^(i,j) = H([X^(i,0), ..., X^(i,j-1), up(X^(i+1,j-1))]) with H
    two 3x3 conv-BN-ReLU and up a bilinear upsampling (eq. 1 of the first paper).

    Args:
        width: Channels at full resolution, even, 32 in the paper; doubled at each level below.
        num_levels: Resolutions from H x W down, 5 in the paper (L^4); fewer are its pruned L^1 to
            L^3.
        deep_supervision: A head on each X^(0,j), j from 1; the last one gives the mask, the others
            semantic side outputs in the order of their columns.
    """

    title = "UNet++"
    paper = "Zhou et al., IEEE TMI 2020"
    reference_licence = "MIT; the authors': non-commercial"
    own_loss = "bce_dice"

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 1,
        width: int = 32,
        num_levels: int = 5,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        check_positive(in_channels=in_channels, num_classes=num_classes)
        check_even("width", width)
        check_choice("num_levels", num_levels, NUM_LEVELS)
        self.num_levels = num_levels
        channels = [width << level for level in range(num_levels)]
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.nodes = nn.ModuleDict()  # "i,j" for X^(i,j)
        for column in range(num_levels):
            for level in range(num_levels - column):
                out = channels[level]
                if column:
                    inputs = column * out + channels[level + 1]
                else:
                    inputs = channels[level - 1] if level else in_channels
                self.nodes[f"{level},{column}"] = ConvBlock(inputs, out, out, bias=True)
        num_heads = num_levels - 1 if deep_supervision else 1
        self.column_heads = nn.ModuleList(
            nn.Conv2d(width, num_classes, 1) for _ in range(num_heads)
        )
        self.stride = self.min_size = 1 << (num_levels - 1)  # px: one at the lowest resolution

    @property
    def heads(self) -> frozenset[str]:
        return frozenset({"mask", "semantic"} if len(self.column_heads) > 1 else {"mask"})

    @property
    def own_loss_args(self) -> dict[str, float | str | bool]:
        """Half the BCE plus the Dice loss per image, the mean over the heads."""
        deep_supervision = "semantic" in self.heads
        return {"bce_weight": 0.5, "reduction": "image", "deep_supervision": deep_supervision}

    @property
    def segments(self) -> list[nn.Module]:
        return list(self.nodes.values())

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        check_size(self, image)
        rows: list[list[Tensor]] = []  # rows[i] holds X^(i,0), X^(i,1), ... at H / 2^i
        for level in range(self.num_levels):
            below = self.pool(rows[-1][0]) if level else image
            rows.append([self.nodes[f"{level},0"](below)])
        for column in range(1, self.num_levels):
            for level in range(self.num_levels - column):
                up = self.up(rows[level + 1][column - 1])
                joined = torch.cat([*rows[level], up], dim=1)
                rows[level].append(self.nodes[f"{level},{column}"](joined))
        columns = rows[0][-len(self.column_heads) :]
        logits = [head(x) for head, x in zip(self.column_heads, columns, strict=True)]
        return SegOutput(mask=logits[-1], semantic=tuple(logits[:-1]))
