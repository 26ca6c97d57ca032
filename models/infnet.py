"""Inf-Net: parallel partial decoder, reverse attention and edge attention on a high-level encoder.

Paper: D.-P. Fan, T. Zhou, G.-P. Ji, Y. Zhou, G. Chen, H. Fu, J. Shen, L. Shao, "Inf-Net: Automatic
COVID-19 Lung Infection Segmentation from CT Images", IEEE Transactions on Medical Imaging 39(8),
2020, doi 10.1109/TMI.2020.2996645, arXiv 2004.14133. Equation numbers are those of the preprint.

The released implementation (MIT; its Res2Net CC BY-NC-SA, here timm's) and the preprint differ:
    - Eq. 2 joins the edge features to f_i A_i, where the preprint multiplies them by A_i too; the
      authors corrected it later. The deepest branch has three 5 x 5 convolutions of 256 filters,
      not two of 64. Both as released here.
    - It carries the encoder's classifier (2,049,000 parameters) and, with VGG-16, a second branch
      of the encoder (12,979,200), neither of which is ever used: left out here.

Deviations:
    - Maps are resized to the size of what they meet, not by a factor: any input size runs.
    - Reverse attention weighs the features after the 1 x 1 convolution that follows it: a weight
      per place commutes with a convolution over channels alone.
    - num_classes above 1 (the release breaks there): class 0 is background; the cascade is one of
      lesion against background up to S_4, which is added to every lesion class of S_3.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.parts.checks import check_positive, check_size
from models.parts.infnet_trunks import Trunk, create_trunk
from models.parts.network import SegmentationNetwork
from models.parts.resize import resize, resize_aligned
from utils.contracts import SegOutput
from utils.errors import UserError

_WIDTH = 32  # channels of the receptive field blocks
_EDGE_WIDTH = 64


class _ConvNorm(nn.Sequential):
    """Convolution that keeps the size, and batch norm; no ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int | tuple[int, int], dilation: int = 1
    ) -> None:
        rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (dilation * (rows // 2), dilation * (columns // 2))
        super().__init__(
            nn.Conv2d(in_channels, out_channels, (rows, columns), 1, padding, dilation, bias=False),
            nn.BatchNorm2d(out_channels),
        )


class _ReceptiveFieldBlock(nn.Module):
    """Four branches of growing field and a shortcut, to 32 channels."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList([_ConvNorm(in_channels, _WIDTH, 1)])
        for kernel in (3, 5, 7):
            self.branches.append(
                nn.Sequential(
                    _ConvNorm(in_channels, _WIDTH, 1),
                    _ConvNorm(_WIDTH, _WIDTH, (1, kernel)),
                    _ConvNorm(_WIDTH, _WIDTH, (kernel, 1)),
                    _ConvNorm(_WIDTH, _WIDTH, 3, dilation=kernel),
                )
            )
        self.join = _ConvNorm(4 * _WIDTH, _WIDTH, 3)
        self.shortcut = _ConvNorm(in_channels, _WIDTH, 1)

    def forward(self, features: Tensor) -> Tensor:
        joined = self.join(torch.cat([branch(features) for branch in self.branches], dim=1))
        return F.relu(joined + self.shortcut(features))


class _PartialDecoder(nn.Module):
    """Parallel partial decoder p_d: the three high levels to the global map S_g."""

    def __init__(self) -> None:
        super().__init__()
        self.high_to_middle = _ConvNorm(_WIDTH, _WIDTH, 3)
        self.high_to_low = _ConvNorm(_WIDTH, _WIDTH, 3)
        self.middle_to_low = _ConvNorm(_WIDTH, _WIDTH, 3)
        self.high_beside_middle = _ConvNorm(_WIDTH, _WIDTH, 3)
        self.join_middle = _ConvNorm(2 * _WIDTH, 2 * _WIDTH, 3)
        self.middle_beside_low = _ConvNorm(2 * _WIDTH, 2 * _WIDTH, 3)
        self.join_low = _ConvNorm(3 * _WIDTH, 3 * _WIDTH, 3)
        self.head = nn.Sequential(_ConvNorm(3 * _WIDTH, 3 * _WIDTH, 3), nn.Conv2d(3 * _WIDTH, 1, 1))

    def forward(self, low: Tensor, middle: Tensor, high: Tensor) -> Tensor:
        high_at_middle = resize_aligned(high, middle)
        high_at_low = resize_aligned(high_at_middle, low)
        middle_at_low = resize_aligned(middle, low)
        low = self.high_to_low(high_at_low) * self.middle_to_low(middle_at_low) * low
        middle = self.high_to_middle(high_at_middle) * middle
        beside = self.high_beside_middle(high_at_middle)
        middle = self.join_middle(torch.cat([middle, beside], dim=1))
        middle_at_low = self.middle_beside_low(resize_aligned(middle, low))
        return self.head(self.join_low(torch.cat([low, middle_at_low], dim=1)))


class _ReverseAttention(nn.Module):
    """R_i (eq. 2): f_i where the deeper map sees no lesion (eq. 3); S_i and A_i at its size."""

    def __init__(
        self, in_channels: int, width: int, kernels: tuple[int, ...], num_joined: int, out: int = 1
    ) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(in_channels, width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.convs = nn.Sequential()
        for index, kernel in enumerate(kernels[:-1]):
            channels = width if index else width + num_joined
            self.convs.extend([_ConvNorm(channels, width, kernel), nn.ReLU(inplace=True)])
        self.convs.append(_ConvNorm(width, out, kernels[-1]))
        self.num_classes = out

    def forward(
        self, features: Tensor, edge: Tensor | None, deeper: Tensor
    ) -> tuple[Tensor, Tensor]:
        deeper = resize(deeper, features)
        attention = torch.sigmoid(-deeper)  # A_i = 1 - sigmoid(S_i+1)
        reduced = self.norm(attention * self.reduce(features))
        joined = [] if edge is None else [resize(edge, features)]
        logits = self.convs(torch.cat([reduced, *joined], dim=1))
        if self.num_classes > 1:
            lesions = deeper.expand(-1, self.num_classes - 1, -1, -1)
            deeper = torch.cat([torch.zeros_like(deeper), lesions], dim=1)
        return logits + deeper, attention


class InfNet(SegmentationNetwork):
    """Inf-Net: the mask S_3, the maps S_g, S_5 and S_4 on the way to it, and the edge.

    The switches give the rows of table IV; how the rest then ends, the paper does not say.

    Args:
        trunk: The encoder; res2net50 in the paper.
        pretrained: Of a Res2Net, timm's (res2net50d, res2net101d). The paper starts from ImageNet.
        partial_decoder: PPD. Without it, S_g is a 1 x 1 convolution of f_5.
        reverse_attention: RA. Without it, S_g is the mask.
        edge_attention: EA; its features join those under reverse attention.
    """

    title = "Inf-Net"
    paper = "Fan et al., IEEE TMI 2020"
    reference_licence = "MIT; its Res2Net: CC BY-NC-SA 4.0"
    own_loss = "infnet"

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 1,
        trunk: Trunk = "res2net50",
        pretrained: str | None = None,
        partial_decoder: bool = True,
        reverse_attention: bool = True,
        edge_attention: bool = True,
    ) -> None:
        super().__init__()
        check_positive(in_channels=in_channels, num_classes=num_classes)
        if not reverse_attention and (edge_attention or num_classes > 1):
            raise UserError(
                "model.args.reverse_attention: edge_attention and num_classes above 1 need it"
            )
        self.min_size = 16 if trunk == "vgg16" else 1  # px; VGG's pools round down
        switched = {"semantic": reverse_attention, "edge": edge_attention}
        self.heads = frozenset({"mask", *(head for head, is_on in switched.items() if is_on)})
        self.encoder = create_trunk(trunk, in_channels, pretrained)
        c2, c3, c4, c5 = self.encoder.channels[-4:]
        num_joined = _EDGE_WIDTH if edge_attention else 0
        if edge_attention:
            inner = [_ConvNorm(_EDGE_WIDTH, _EDGE_WIDTH, 3) for _ in range(2)]
            self.edge_attention = nn.Sequential(_ConvNorm(c2, _EDGE_WIDTH, 1), *inner)
            self.edge_head = _ConvNorm(_EDGE_WIDTH, 1, 3)
        if partial_decoder:
            self.fields = nn.ModuleList(_ReceptiveFieldBlock(c) for c in (c3, c4, c5))
            self.partial_decoder = _PartialDecoder()
        else:
            self.global_head = nn.Conv2d(c5, 1, 1)
        if reverse_attention:
            self.attention5 = _ReverseAttention(c5, 256, (5, 5, 5, 1), num_joined)
            self.attention4 = _ReverseAttention(c4, 64, (3, 3, 3), num_joined)
            self.attention3 = _ReverseAttention(c3, 64, (3, 3, 3), num_joined, num_classes)

    @property
    def segments(self) -> list[nn.Module]:
        decoder = [*self.fields, self.partial_decoder] if hasattr(self, "fields") else []
        return [*self.encoder.stages, *decoder]

    @property
    def own_loss_args(self) -> dict[str, float]:
        """Arguments of its loss: no weight for the maps that are switched off."""
        kinds = ("edge", "semantic")
        return {f"{kind}_weight": 0.0 for kind in kinds if kind not in self.heads}

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        """Mask S_3, semantic S_g, S_5, S_4; the maps are the reverse attention A_5, A_4, A_3."""
        check_size(self, image)
        f2, f3, f4, f5 = self.encoder(image)[-4:]  # H/4 to H/32; VGG-16 H/2 to H/16
        edge = self.edge_attention(f2) if "edge" in self.heads else None
        s_g = self._global_map(f3, f4, f5)
        if "semantic" not in self.heads:
            return SegOutput(mask=resize(s_g, image))
        s_5, a_5 = self.attention5(f5, edge, s_g)
        s_4, a_4 = self.attention4(f4, edge, s_5)
        s_3, a_3 = self.attention3(f3, edge, s_4)
        maps = {"A_5": a_5, "A_4": a_4, "A_3": a_3} if with_maps else {}
        return SegOutput(
            mask=resize(s_3, image),
            edge=() if edge is None else (resize(self.edge_head(edge), image),),
            semantic=tuple(resize(s, image) for s in (s_g, s_5, s_4)),
            maps={name: resize(a, image) for name, a in maps.items()},
        )

    def _global_map(self, f3: Tensor, f4: Tensor, f5: Tensor) -> Tensor:
        """S_g: of the partial decoder at the size of f_3, else at that of f_5."""
        if not hasattr(self, "fields"):
            return self.global_head(f5)
        reduced = [field(f) for field, f in zip(self.fields, (f3, f4, f5), strict=True)]
        return self.partial_decoder(*reduced)
