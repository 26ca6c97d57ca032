"""Encoder and decoder of the ResUNet against the released network's outputs."""

import fingerprint
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.resunet import ResUNet

PLAIN = {"edge_stages": (), "semantic_stages": (), "fusion": "none"}


class ReleasedArrangement(nn.Module):
    """The released code's wiring around our encoder and decoder, for its fingerprint.

    An extra 2x stage T on X1, per-channel 1x1 gates, one shared side head with two sigmoids.
    """

    def __init__(self) -> None:
        super().__init__()
        plain = ResUNet(**PLAIN)
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


def test_encoder_and_decoder_reproduce_the_released_outputs() -> None:
    model = fingerprint.prepare(ReleasedArrangement())
    with torch.no_grad():
        outputs = model(fingerprint.image(1))
    fingerprint.assert_matches(outputs, "resunet_c2f")
