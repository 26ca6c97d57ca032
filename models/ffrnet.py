"""FFR-Net: Autofocus within a stage, Panorama across stages, on a dilated ResNet.

Paper: R. Wang, C. Ji, Y. Zhang, Y. Li, "Focus, Fusion, and Rectify: Context-Aware Learning for
COVID-19 Lung Infection Segmentation", IEEE TNNLS 33(1):12-24, 2022.
ImageNet weights in the encoder. The rectification is a loss: losses/ffrnet.py.

The reference implementation (github.com/mathwrx, no licence, not used here) always has two classes,
resamples every image to features of 64 x 64 and 32 x 32, and never uses 7.9 of its 47.8 million
parameters: the classifier, two of four chains and a projection in every Autofocus, and in every
fusion the weights of the other kind of fusion.

Deviations:
    - Features at H/4 and H/8 of any image: those sizes for the reference's 256 x 256. The average
      pool behind the stem halves, where the reference pools to 64 x 64 whatever comes.
    - One class, one sigmoid map, by default.
    - The unused parts are left out.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.parts.backbones import ResNetBackbone
from models.parts.checks import check_positive, check_size
from models.parts.network import SegmentationNetwork
from models.parts.resize import resize_aligned
from utils.contracts import SegOutput

_WIDTH = 128  # channels of every branch and fusion
_BRANCH_DILATIONS = (6, 12, 18)


def _conv_bn_relu(in_channels: int, out_channels: int, dilation: int = 0) -> nn.Sequential:
    """3x3 convolution of that dilation, or 1x1 for 0; batch norm, ReLU."""
    kernel_size = 3 if dilation else 1
    conv = nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        padding=dilation,
        dilation=max(dilation, 1),
        bias=False,
    )
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


def _mix(num_maps: int) -> nn.Conv2d:
    """1x1 convolution of so many joined maps to one of the common width."""
    return nn.Conv2d(num_maps * _WIDTH, _WIDTH, 1, bias=False)


class _PeerChain(nn.Module):
    """Progressive fusion of four maps of one stage, each filling in where the next is unsure.

    f_1 = s_1 and f_k = s_k + (1 - sigmoid(s_k)) U_k [m_{k-1}, f_{k-1}], with the memory
    m_1 = (1 - sigmoid(W_1 f_1)) f_1 and m_k = (1 - sigmoid(W_k f_k)) f_k
    + sigmoid(V_{k-1} m_{k-1}) m_{k-1}; the result is f_4.
    """

    def __init__(self) -> None:
        super().__init__()
        self.forget = nn.ModuleList(_mix(1) for _ in range(3))  # W
        self.keep = nn.ModuleList(_mix(1) for _ in range(2))  # V
        self.update = nn.ModuleList(_mix(2) for _ in range(3))  # U

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        fused, memory = maps[0], None
        for step, current in enumerate(maps[1:]):
            kept = torch.sigmoid(-self.forget[step](fused)) * fused
            if memory is not None:
                kept = torch.addcmul(kept, torch.sigmoid(self.keep[step - 1](memory)), memory)
            memory = kept
            update = self.update[step](torch.cat([memory, fused], dim=1))
            fused = torch.addcmul(current, torch.sigmoid(-current), update)
        return fused


class _Autofocus(nn.Module):
    """Fine details and context of one stage: four branches of rising reach, fused both ways."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            _conv_bn_relu(in_channels, _WIDTH, dilation) for dilation in (0, *_BRANCH_DILATIONS)
        )
        self.outward, self.inward = _PeerChain(), _PeerChain()
        self.merge = _conv_bn_relu(2 * _WIDTH, _WIDTH)

    def forward(self, features: Tensor) -> Tensor:
        maps = [branch(features) for branch in self.branches]
        return self.merge(torch.cat([self.outward(maps), self.inward(maps[::-1])], dim=1))


class _Panorama(nn.Module):
    """A stage's map, filled in where it is unsure by what the other three stages see.

    g = G [s_1, s_2, s_3, s_4], t_k = A_k [g, s_k], c_k = sigmoid(B_k mean(t_k)) for the other
    stages k; the result is s_1 + (1 - sigmoid(s_1)) sum_k c_k t_k.
    """

    def __init__(self) -> None:
        super().__init__()
        self.join = _mix(4)  # G
        self.view = nn.ModuleList(_mix(2) for _ in range(3))  # A
        self.gate = nn.ModuleList(_mix(1) for _ in range(3))  # B

    def forward(self, own: Tensor, others: Sequence[Tensor]) -> Tensor:
        others = [resize_aligned(other, own.shape[-2:]) for other in others]
        joined = self.join(torch.cat([own, *others], dim=1))
        context = torch.zeros_like(own)
        for other, view, gate in zip(others, self.view, self.gate, strict=True):
            seen = view(torch.cat([joined, other], dim=1))
            context = context + torch.sigmoid(gate(seen.mean(dim=(2, 3), keepdim=True))) * seen
        return torch.addcmul(own, torch.sigmoid(-own), context)


class FFRNet(SegmentationNetwork):
    """FFR-Net.

    Args:
        depth: ResNet layout of the encoder, 50 (the paper), 18, 34, 101 or 152.
    """

    title = "FFR-Net"
    paper = "Wang et al., IEEE TNNLS 2022"
    reference_licence = "none"
    min_size = 16  # px; 3 run, but leave most batch norms the two slices' values alone
    own_loss = "ffrnet"

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
        self.encoder = ResNetBackbone(
            depth,
            in_channels,
            strides=(1, 2, 1, 1),
            dilations=((1,), (1,), (1, 2), (4,)),
            pretrained=pretrained,
        )
        self.encoder.pool = nn.AvgPool2d(2)
        self.focus = nn.ModuleList(_Autofocus(c) for c in self.encoder.channels[1:])
        self.panorama = nn.ModuleList(_Panorama() for _ in self.focus)
        self.merge = nn.ModuleList(_conv_bn_relu(2 * _WIDTH, _WIDTH) for _ in range(3))
        self.head = nn.Sequential(
            nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1),
            nn.BatchNorm2d(_WIDTH),
            nn.ReLU(inplace=True),
            nn.Conv2d(_WIDTH, num_classes, 1),
        )

    @property
    def segments(self) -> list[nn.Module]:
        encoder = [self.encoder.stem, *self.encoder.stages]
        return [*encoder, *self.focus, *self.panorama, *self.merge, self.head]

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        check_size(self, image)
        stages = self.encoder(image)[1:]  # H/4, then H/8 three times
        focused = [focus(stage) for focus, stage in zip(self.focus, stages, strict=True)]
        p1, p2, p3, p4 = (
            panorama(own, focused[:level] + focused[level + 1 :])
            for level, (panorama, own) in enumerate(zip(self.panorama, focused, strict=True))
        )
        d3 = self.merge[2](torch.cat([p3, p4], dim=1))
        d2 = self.merge[1](torch.cat([p2, d3], dim=1))
        d1 = self.merge[0](torch.cat([p1, resize_aligned(d2, p1.shape[-2:])], dim=1))
        return SegOutput(mask=resize_aligned(self.head(d1), image.shape[-2:]))
