"""SCRN: masks and edges that refine one another, level by level, four times over.

Paper: Z. Wu, L. Su, Q. Huang, "Stacked Cross Refinement Network for Edge-Aware Salient Object
Detection", ICCV 2019, doi 10.1109/ICCV.2019.00736. ImageNet weights in the encoder.

The released implementation (no licence) has no ReLU outside the encoder: the products of masks and
edges are the only non-linearity of the head, and so it is here. It derives edges from the masks
on the fly (Sobel magnitude above 1.5) and, for its steps at 256 and 448 px, resizes those of 352 px
to soft values; here edges come with the batch, at the size of the mask.

Deviations:
    - Maps are resized to the size of what they meet, not by a factor: any input size runs.
    - The 1 x 1 convolution of a resized map runs before the resize instead of after it: the same
      function on fewer pixels.
    - The normal distribution of standard deviation 0.01 that the release starts from is used for
      the head alone; there, ImageNet weights overwrite it in the encoder. Here, the encoder may
      start at random and keeps the library's initialisation then.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.parts.backbones import ResNetBackbone
from models.parts.checks import check_positive
from models.parts.network import SegmentationNetwork
from models.parts.resize import resize_aligned
from utils.contracts import SegOutput

_WIDTH = 32
_NUM_UNITS = 4


class _ConvNorm(nn.Sequential):
    """Convolution that keeps the size, and batch norm; no ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(out_channels),
        )


class _Resized(nn.Module):
    """A deeper map at the size of a finer one, through a 1x1 convolution and batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(_WIDTH, _WIDTH, 1, bias=False)
        self.norm = nn.BatchNorm2d(_WIDTH)

    def forward(self, features: Tensor, like: Tensor) -> Tensor:
        return self.norm(resize_aligned(self.conv(features), like))


class _Reduction(nn.Sequential):
    """One level of the encoder to the width of the head."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(
            _ConvNorm(in_channels, _WIDTH, 1),
            _ConvNorm(_WIDTH, _WIDTH, 3),
            _ConvNorm(_WIDTH, _WIDTH, 3),
        )


class _LevelRefinement(nn.Module):
    """One level of a cross refinement unit, from its own maps and those of all deeper levels.

    The mask features take the edge features of all levels beside them; the edge features are
    multiplied by the mask features of all levels. A residual each.
    """

    def __init__(self, num_deeper: int) -> None:
        super().__init__()
        self.resized_edges = nn.ModuleList(_Resized() for _ in range(num_deeper))
        self.resized_masks = nn.ModuleList(_Resized() for _ in range(num_deeper))
        self.mask_convs = nn.Sequential(
            _ConvNorm((2 + num_deeper) * _WIDTH, _WIDTH, 3), _ConvNorm(_WIDTH, _WIDTH, 3)
        )
        self.edge_convs = nn.Sequential(_ConvNorm(_WIDTH, _WIDTH, 3), _ConvNorm(_WIDTH, _WIDTH, 3))

    def forward(self, masks: Sequence[Tensor], edges: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        mask, edge = masks[0], edges[0]
        beside, product = [mask, edge], edge * mask
        for resized, deeper in zip(self.resized_edges, edges[1:], strict=True):
            beside.append(resized(deeper, mask))
        for resized, deeper in zip(self.resized_masks, masks[1:], strict=True):
            product = product * resized(deeper, edge)
        return mask + self.mask_convs(torch.cat(beside, dim=1)), edge + self.edge_convs(product)


class _CrossRefinementUnit(nn.Module):
    """CRU: all levels at once, each from the maps as they came in."""

    def __init__(self, num_levels: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(_LevelRefinement(n) for n in reversed(range(num_levels)))

    def forward(
        self, masks: Sequence[Tensor], edges: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        refined = [level(masks[k:], edges[k:]) for k, level in enumerate(self.levels)]
        return [mask for mask, _ in refined], [edge for _, edge in refined]


class _UpBlock(nn.Module):
    """A coarser map beside the level's own, to the width of the head."""

    def __init__(self) -> None:
        super().__init__()
        self.up = _ConvNorm(_WIDTH, _WIDTH, 3)
        self.join = nn.Sequential(
            _ConvNorm(2 * _WIDTH, 2 * _WIDTH, 3), _ConvNorm(2 * _WIDTH, _WIDTH, 1)
        )

    def forward(self, skip: Tensor, coarser: Tensor) -> Tensor:
        return self.join(torch.cat([skip, self.up(resize_aligned(coarser, skip))], dim=1))


class _Decoder(nn.Module):
    """From the coarsest level to logits at the size of the finest one."""

    def __init__(self, num_levels: int, out_channels: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_UpBlock() for _ in range(num_levels - 1))
        self.head = nn.Sequential(_ConvNorm(_WIDTH, _WIDTH, 3), nn.Conv2d(_WIDTH, out_channels, 1))

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        *skips, current = levels
        for block, skip in zip(self.blocks, reversed(skips), strict=True):
            current = block(skip, current)
        return self.head(current)


class SCRN(SegmentationNetwork):
    """Stacked Cross Refinement Network: a mask and its edge.

    Args:
        depth: Of the ResNet: 18, 34, 50 (the paper), 101 or 152.
    """

    title = "SCRN"
    paper = "Wu et al., ICCV 2019"
    reference_licence = "none"
    heads = frozenset({"mask", "edge"})
    own_loss = "scrn"

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 1,
        depth: int = 50,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        check_positive(in_channels=in_channels, num_classes=num_classes)
        self.encoder = ResNetBackbone(depth, in_channels, pretrained=pretrained)
        channels = self.encoder.channels[1:]
        num_levels = len(channels)
        self.mask_reductions = nn.ModuleList(_Reduction(c) for c in channels)
        self.edge_reductions = nn.ModuleList(_Reduction(c) for c in channels)
        self.units = nn.ModuleList(_CrossRefinementUnit(num_levels) for _ in range(_NUM_UNITS))
        self.mask_decoder = _Decoder(num_levels, num_classes)
        self.edge_decoder = _Decoder(num_levels, 1)
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and not name.startswith("encoder."):
                nn.init.normal_(module.weight, std=0.01)

    @property
    def segments(self) -> list[nn.Module]:
        return [*self.encoder.stages, *self.units]

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        features = self.encoder(image)[1:]  # H/4 to H/32
        masks = [reduce(f) for reduce, f in zip(self.mask_reductions, features, strict=True)]
        edges = [reduce(f) for reduce, f in zip(self.edge_reductions, features, strict=True)]
        for unit in self.units:
            masks, edges = unit(masks, edges)
        mask, edge = self.mask_decoder(masks), self.edge_decoder(edges)  # H/4
        return SegOutput(mask=resize_aligned(mask, image), edge=(resize_aligned(edge, image),))
