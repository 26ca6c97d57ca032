"""Every registered network with few channels or layers, and batches for it."""

from typing import Any

import torch
from torch import Tensor, nn

from datasets.edges import edge_of_mask
from losses import create_loss
from models import create_model
from models.parts.network import SegmentationNetwork
from utils.contracts import Batch

# What makes a network small; those without an entry have nothing to make smaller.
SMALL: dict[str, dict[str, Any]] = {
    "acfnet": {"depth": 50},
    "attention_unet": {"width": 4},
    "cenet": {"depth": 18},
    "coeranet": {"trunk": "resnet18"},
    "cpfnet": {"depth": 18},
    "fcn8s": {"depth": 11, "fc_channels": 64},
    "resunet": {"width": 4, "depth": 18},
    "smp": {"encoder": "resnet18"},
    "unet": {"width": 4},
    "unetplusplus": {"width": 4, "deep_supervision": True},
}
_SIDE = 48  # px


def build(name: str, seed: int = 0) -> SegmentationNetwork:
    """A small network with random weights."""
    torch.manual_seed(seed)
    return create_model(name, **SMALL.get(name, {}))


def own_loss(network: SegmentationNetwork) -> nn.Module:
    """The loss of the network's paper."""
    return create_loss(network.own_loss, **network.own_loss_args)


def fitting(network: SegmentationNetwork, side: int) -> int:
    """The nearest side in px, at least this one, that the network takes."""
    side = max(side, network.min_size)
    return -(-side // network.stride) * network.stride


def oblong(network: SegmentationNetwork) -> tuple[int, int]:
    """A size that is not square, nor even where the network takes odd ones."""
    side = fitting(network, _SIDE)
    return side, side + (network.stride if network.stride > 1 else 7)


def settle(network: nn.Module, image: Tensor) -> nn.Module:
    """Give the batch norms statistics of a batch, so that logits keep a natural size.

    Most of them: a channel that is nearly constant would multiply rounding errors.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.8
    with torch.no_grad():
        network.train()(image)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return network


def slices(count: int, height: int, width: int, *, has_lung: bool = True, seed: int = 0) -> Batch:
    """Noisy slices with a dark lung and a brighter lesion in it, both ellipses."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.linspace(-1, 1, height).view(1, 1, -1, 1)
    columns = torch.linspace(-1, 1, width).view(1, 1, 1, -1)
    row, column, size = (
        low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator)
        for low, high in ((-0.3, 0.3), (-0.3, 0.3), (0.3, 0.5))
    )
    lung = (((rows / 0.9) ** 2 + (columns / 0.8) ** 2) < 1).float().expand(count, -1, -1, -1)
    mask = (((rows - row) ** 2 + (columns - column) ** 2) < size**2).float()
    noise = 0.1 * torch.randn(mask.shape, generator=generator)
    edges = [edge_of_mask(one.to(torch.uint8), 2) for one in mask[:, 0]]
    return {
        "image": 1 - lung + mask + noise - 0.5,
        "mask": mask,
        "edge": torch.stack(edges)[:, None].float(),
        "lung": lung.contiguous() if has_lung else torch.zeros_like(mask),
        "has_lung": torch.full((count,), has_lung),
        "is_padding": torch.zeros(count, dtype=torch.bool),
        "name": [f"slice{index}" for index in range(count)],
        "patient": [f"patient{index // 2}" for index in range(count)],
    }
