"""A check of a network's wiring that knows nothing of its names: fixed weights, known outputs.

fingerprints.json holds, of the published implementation of each network, mean, standard deviation,
minimum, maximum and six pixels of every output map of 256 x 256 px images, and its numbers of
parameters. fingerprints_small.json holds the same of our networks on small images; pin_small.py
writes it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

FINGERPRINTS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "fingerprints.json").read_text()
)
SMALL_PATH = Path(__file__).parent / "fingerprints_small.json"
FULL_SIZE = (256, 256)  # px
_LAYERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm)


def prepare(model: nn.Module) -> nn.Module:
    """The model in float64 and training mode, without dropout, its weights from their indices.

    It may come from the meta device: no initial value is read.
    """
    model = model.double().to_empty(device="cpu").train()
    seen = set()
    for module in model.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0
        if hasattr(module, "drop_prob"):  # stochastic depth of timm and torchvision
            module.drop_prob = 0.0
        if type(module).__name__ == "StochasticDepth":
            module.p = 0.0
        if isinstance(module, _LAYERS):
            _fill(module)
        elif isinstance(module, _NORMS):
            module.reset_parameters()  # 1 and 0
        else:
            continue
        seen.update(map(id, module.parameters(recurse=False)))
    for parameter in model.parameters():
        if id(parameter) not in seen:  # attention scalars, layer scale
            nn.init.constant_(parameter, 0.5)
    return model


@torch.no_grad()
def _fill(module: nn.Module) -> None:
    """Weights of a layer from output index, input index and kernel position."""
    weight = module.weight
    if isinstance(module, nn.ConvTranspose2d):
        weight = weight.transpose(0, 1)
    # (output, input, row, column), of which a linear layer and a 1-D kernel lack some.
    shape = [*weight.shape[:2], *([1] * (4 - weight.ndim)), *weight.shape[2:]]
    o, i, r, c = (torch.arange(size) for size in shape)
    pairs = 131 * o[:, None] + (241 + 7 * o[:, None]) * i
    places = (37 * r[:, None] + 59 * c).flatten()
    fan = shape[1] * shape[2] * shape[3]
    # Every kernel is one of 1009: row n begins at place n of the cycle.
    cycle = (6 / fan) ** 0.5 * (2 * torch.arange(1009).double() / 1009 - 1)
    kernels = cycle[(torch.arange(1009)[:, None] + places) % 1009]
    weight.copy_(F.embedding(pairs % 1009, kernels).view(weight.shape))
    if module.bias is not None:
        module.bias.fill_(0.01)


def image(num_channels: int, size: tuple[int, int]) -> Tensor:
    """(2, C, height, width) float64, all channels equal."""
    height, width = size
    u = torch.arange(height, dtype=torch.float64).view(-1, 1) / (height - 1)
    v = torch.arange(width, dtype=torch.float64).view(1, -1) / (width - 1)
    planes = torch.stack([(u + 2 * v) / 3, 0.5 + 0.5 * torch.sin(9 * u) * torch.cos(7 * v)])
    return planes[:, None].repeat(1, num_channels, 1, 1)


def take(output: Tensor) -> dict[str, Any]:
    """The fingerprint of one output map."""
    height, width = output.shape[-2:]
    places = [(0, 0, 0), (0, height // 4, width // 3), (0, height // 2, width // 2)]
    places += [(1, height // 2, width // 2), (1, height - 1, width - 1)]
    places.append((1, 3 * height // 4, width // 5))
    return {
        "shape": list(output.shape),
        "mean": output.mean().item(),
        "std": output.std().item(),
        "min": output.min().item(),
        "max": output.max().item(),
        "px": [output[b, 0, row, column].item() for b, row, column in places],
    }


def assert_matches(outputs: Sequence[Tensor], wanted: Sequence[dict[str, Any]]) -> None:
    """Every output map agrees with its fingerprint to 1e-6."""
    assert [list(output.shape) for output in outputs] == [entry["shape"] for entry in wanted]
    for index, (output, entry) in enumerate(zip(outputs, wanted, strict=True)):
        found = take(output)
        for key in ("mean", "std", "min", "max", "px"):
            assert found[key] == pytest.approx(entry[key], abs=1e-6, rel=1e-6), (index, key)


def num_parameters(model: nn.Module) -> int:
    """All of them."""
    return sum(parameter.numel() for parameter in model.parameters())


def num_live_parameters(model: nn.Module, total: Tensor) -> int:
    """Parameters that get a gradient from a scalar made of all outputs."""
    total.backward()
    return sum(p.numel() for p in model.parameters() if p.grad is not None)
