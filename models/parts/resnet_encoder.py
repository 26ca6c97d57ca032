"""The contracting path of ResUNet: residual blocks behind a full-resolution stem."""

from torch import Tensor, nn

from models.parts.residual_blocks import BasicBlock, Bottleneck

RESNET_LAYOUT = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
}


def _residual_stage(
    block: type[BasicBlock] | type[Bottleneck],
    in_channels: int,
    planes: int,
    num_blocks: int,
    stride: int,
) -> nn.Sequential:
    """A ResNet layer; the first block changes stride and width."""
    out_channels = planes * block.expansion
    shortcut = None
    if stride != 1 or in_channels != out_channels:
        shortcut = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
            nn.BatchNorm2d(out_channels),
        )
    first = block(in_channels, planes, stride=stride, downsample=shortcut)
    return nn.Sequential(first, *(block(out_channels, planes) for _ in range(num_blocks - 1)))


class ResNetEncoder(nn.Module):
    """The contracting path: a full-resolution stem S1, then four ResNet layers S2 to S5.

    Args:
        in_channels: Channels of the image.
        width: Channels of S1 (64 in the paper); S5 has 8 times as many.
        depth: ResNet layout, 18, 34 (the paper) or 50.
    """

    def __init__(self, in_channels: int, width: int, depth: int) -> None:
        super().__init__()
        block, num_blocks = RESNET_LAYOUT[depth]
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        self.pool = nn.MaxPool2d(2)
        channels = [width]
        for index, count in enumerate(num_blocks):
            planes, stride = width * 2**index, 1 if index == 0 else 2
            layer = _residual_stage(block, channels[-1], planes, count, stride)
            self.add_module(f"layer{index + 1}", layer)
            channels.append(planes * block.expansion)
        self.channels = tuple(channels)
        self._initialise()

    def _initialise(self) -> None:
        """Kaiming-normal over the fan-out, as the released encoder and torchvision's ResNet."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> list[Tensor]:
        s1 = self.stem(image)  # H x W
        s2 = self.layer1(self.pool(s1))  # H/2
        s3 = self.layer2(s2)  # H/4
        s4 = self.layer3(s3)  # H/8
        s5 = self.layer4(s4)  # H/16
        return [s1, s2, s3, s4, s5]
