"""Our networks with what their published implementations wire otherwise."""

from functools import partial

import torch
import torch.nn.functional as F
from timm.layers import EcaModule
from torch import Tensor, nn
from torchvision.models.mobilenetv2 import InvertedResidual

from models.acfnet import ACFNet
from models.coeranet import CoERANet, RegionFusionAttention
from models.deeplabv3plus import DeepLabV3Plus
from models.parts.backbones import XceptionBackbone
from models.parts.resize import resize_aligned
from models.resunet import ResUNet


class ReleasedACFNet(nn.Module):
    """The unofficial implementation's wiring around our network.

    ECA gates in the encoder, a channel softmax instead of class centres, leaky ReLU in the final
    head, outputs at an eighth of the resolution.
    """

    def __init__(self) -> None:
        super().__init__()
        self.net = ACFNet(in_channels=3, depth=50)
        for stage in self.net.encoder.stages:
            for block in stage:
                block.se = EcaModule(kernel_size=3)
        self.net.mask_head[2] = nn.LeakyReLU(0.01)

    def forward(self, image: Tensor) -> list[Tensor]:
        *_, c4, c5 = self.net.encoder(image)
        context = self.net.aspp(c5)
        coarse = self.net.coarse_head(context)
        reduced = self.net.class_feature.reduce(context)
        products = coarse.flatten(2) @ reduced.flatten(2).transpose(1, 2)  # (B, N, C)
        weights = torch.softmax(products.amax(dim=2, keepdim=True) - products, dim=2)
        mixed = (weights.transpose(1, 2) @ coarse.flatten(2)).reshape(reduced.shape)
        feature = self.net.class_feature.refine(mixed)
        mask = self.net.mask_head(torch.cat([feature, context], dim=1))
        return [mask, coarse, self.net.auxiliary_head(c4)]


class PublishedCoERANet(nn.Module):
    """The published wiring around our network: probabilities of eight maps.

    The third dilated branch of each attention is the second one; the two coarser scales are
    resized after the sigmoid.
    """

    def __init__(self, trunk: str = "convnext_small") -> None:
        super().__init__()
        self.net = CoERANet(in_channels=3, trunk=trunk)
        for module in self.net.modules():
            if isinstance(module, RegionFusionAttention):
                module.branches[1] = module.branches[2]
        self.scales: list[tuple[bool, Tensor]] = []
        for heads, is_lung in ((self.net.lung_scale_heads, True), (self.net.scale_heads, False)):
            for head in heads:
                head.register_forward_hook(
                    lambda _head, _inputs, scale, is_lung=is_lung: self.scales.append(
                        (is_lung, scale)
                    )
                )

    def forward(self, image: Tensor) -> list[Tensor]:
        self.scales.clear()
        output = self.net(image)
        size = image.shape[-2:]
        maps = [torch.sigmoid(output.lung), torch.sigmoid(output.mask)]
        for step in range(3):
            pair = sorted(self.scales[2 * step : 2 * step + 2], key=lambda scale: not scale[0])
            for _, scale in pair:
                late = step == 2
                maps.append(
                    torch.sigmoid(resize_aligned(scale, size))
                    if late
                    else resize_aligned(torch.sigmoid(scale), size)
                )
        return maps


def released_deeplabv3plus(trunk: str) -> DeepLabV3Plus:
    """Its encoder loses pixels where the reference's does."""
    model = DeepLabV3Plus(in_channels=3, trunk=trunk)
    if isinstance(model.encoder, XceptionBackbone):
        exit_flow = model.encoder.stages[-1]
        for conv in (exit_flow[1].conv1, exit_flow[4].conv1):
            conv.padding = (1, 1)
        del exit_flow[5:]  # the last batch norm and ReLU
        return model
    model.encoder.stem[0][0].padding = (0, 0)
    for block in model.encoder.modules():
        if isinstance(block, InvertedResidual):
            *_, depthwise, _, _ = block.conv
            padding, depthwise[0].padding = depthwise[0].padding[0], (0, 0)
            block.forward = partial(_pad_and_run, block, padding)
    return model


def _pad_and_run(block: InvertedResidual, padding: int, features: Tensor) -> Tensor:
    result = block.conv(F.pad(features, (padding,) * 4))
    return features + result if block.use_res_connect else result


class ReleasedResUNet(nn.Module):
    """The released code's wiring around our encoder and decoder.

    An extra 2x stage T on X1, per-channel 1x1 gates, one shared side head with two sigmoids.
    """

    def __init__(self) -> None:
        super().__init__()
        plain = ResUNet(edge_stages=(), semantic_stages=(), fusion="none")
        self.encoder, self.decoder = plain.encoder, plain.decoder
        channels = plain.decoder.channels
        self.up = nn.ConvTranspose2d(64, 64, 2, stride=2)
        self.conv = nn.Conv2d(64, 64, 3, padding=1)
        self.projections = nn.ModuleList(nn.Conv2d(c, 64, 1) for c in (64, *channels))
        self.gates = nn.ModuleList(nn.Conv2d(64, 64, 1) for _ in range(6))
        self.head = nn.Conv2d(64, 1, 1, bias=False)
        self.side = nn.Conv2d(64, 1, 1)

    def forward(self, image: Tensor) -> list[Tensor]:
        levels = self.decoder(self.encoder(image))
        levels = [self.conv(self.up(levels[0])), *levels]
        upsampled = [
            F.interpolate(project(x), size=image.shape[-2:], mode="bilinear")
            for project, x in zip(self.projections, levels, strict=True)
        ]
        gates = [torch.sigmoid(g(u)) for g, u in zip(self.gates, upsampled, strict=True)]
        others = sum(p * u for p, u in zip(gates[1:], upsampled[1:], strict=True))
        fused = (1 - gates[0]) * others + gates[0] * upsampled[0] + upsampled[0]
        side = [torch.sigmoid(torch.sigmoid(self.side(u))) for u in upsampled[1:]]
        return [torch.sigmoid(self.head(fused)), *side]
