"""F3Net: cross feature modules in two decoders, the second fed with what the first one found.

Paper: J. Wei, S. Wang, Q. Huang, "F3Net: Fusion, Feedback and Focus for Salient Object Detection",
AAAI 2020, doi 10.1609/aaai.v34i07.6916, arXiv 1911.11445. ImageNet weights in the encoder.

The released implementation (MIT) never trains the first convolution and the first batch norm,
which its optimiser is not given, and computes the weighted cross-entropy without its weights (see
losses/structure.py). Neither is repeated here.

Deviations:
    - Without pretrained weights the encoder starts as its library starts it; the head starts as
      released (Kaiming, fan-in).
    - num_classes above 1: the side outputs stay one map of lesion against background.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from models.parts.backbones import ResNetBackbone
from models.parts.checks import check_positive
from models.parts.network import SegmentationNetwork
from models.parts.resize import resize
from utils.contracts import SegOutput

_WIDTH = 64


class _ConvBlock(nn.Sequential):
    """Convolution that keeps the size, batch norm, ReLU."""

    def __init__(self, in_channels: int, kernel: int) -> None:
        # The bias, which the norm cancels, is the released network's.
        super().__init__(
            nn.Conv2d(in_channels, _WIDTH, kernel, padding=kernel // 2),
            nn.BatchNorm2d(_WIDTH),
            nn.ReLU(inplace=True),
        )


class _CrossFeatureModule(nn.Module):
    """CFM: two levels keep what both of them see, their product, each beside what it had.

    Returns the level's own map and the one that goes on to the next finer level.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.ModuleList(_ConvBlock(_WIDTH, 3) for _ in range(4))
        self.down = nn.ModuleList(_ConvBlock(_WIDTH, 3) for _ in range(4))

    def forward(self, left: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
        down = resize(down, left)
        left_1, down_1 = self.left[0](left), self.down[0](down)
        product = self.left[1](left_1) * self.down[1](down_1)
        left = self.left[3](self.left[2](product) + left_1)
        down = self.down[3](self.down[2](product) + down_1)
        return left, down


class _Decoder(nn.Module):
    """One decoder of the cascade: from the deepest level up, a cross feature module each.

    Returns the levels 2 to 5, refined, and the features of the prediction, at the size of level 2.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cross_features = nn.ModuleList(_CrossFeatureModule() for _ in range(3))

    def forward(
        self, levels: Sequence[Tensor], feedback: Tensor | None = None
    ) -> tuple[list[Tensor], Tensor]:
        if feedback is not None:
            levels = [level + resize(feedback, level) for level in levels]
        *levels, current = levels
        refined = [current]  # level 5 as it came
        for module, level in zip(self.cross_features, reversed(levels), strict=True):
            own, current = module(level, current)
            refined.insert(0, own)
        return refined, current


class F3Net(SegmentationNetwork):
    """F3Net: the mask of the second decoder, and five side outputs.

    Args:
        depth: Of the ResNet: 18, 34, 50 (the paper), 101 or 152.
    """

    title = "F3Net"
    paper = "Wei et al., AAAI 2020"
    reference_licence = "MIT"
    heads = frozenset({"mask", "semantic"})
    own_loss = "f3net"

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
        self.squeezes = nn.ModuleList(_ConvBlock(c, 1) for c in self.encoder.channels[1:])
        self.decoders = nn.ModuleList([_Decoder(), _Decoder()])
        self.mask_head = nn.Conv2d(_WIDTH, num_classes, 3, padding=1)
        self.side_heads = nn.ModuleList(nn.Conv2d(_WIDTH, 1, 3, padding=1) for _ in range(5))
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and not name.startswith("encoder."):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
                nn.init.zeros_(module.bias)

    @property
    def segments(self) -> list[nn.Module]:
        return [*self.encoder.stages, *self.decoders]

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        """The mask of the second decoder.

        Semantic side outputs: the first decoder's, then levels 2 to 5 of the second.
        """
        features = self.encoder(image)[1:]  # H/4 to H/32
        levels = [squeeze(f) for squeeze, f in zip(self.squeezes, features, strict=True)]
        levels, first = self.decoders[0](levels)
        levels, second = self.decoders[1](levels, first)
        sides = zip(self.side_heads, [first, *levels], strict=True)
        return SegOutput(
            mask=resize(self.mask_head(second), image),
            semantic=tuple(resize(head(f), image) for head, f in sides),
        )
