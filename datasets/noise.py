"""Noise in the form of a batch: what a network is measured and checked with."""

import torch

from utils.contracts import Batch

_LESION_FRACTION = 0.1  # of the random targets


def noise_batch(batch_size: int, height: int, width: int, num_classes: int = 1) -> Batch:
    """Noise as a collated batch of slices, drawn from torch's generator.

    Args:
        batch_size: B.
        height: H in px.
        width: W in px.
        num_classes: Channels of the network's mask; above 1 the lesion has classes.
    """
    shape = (batch_size, 1, height, width)
    batch: Batch = {
        "image": torch.randn(shape),
        "mask": (torch.rand(shape) < _LESION_FRACTION).float(),
        "edge": (torch.rand(shape) < _LESION_FRACTION).float(),
        "lung": torch.zeros(shape),
        "has_lung": torch.zeros(batch_size, dtype=torch.bool),
        "is_padding": torch.zeros(batch_size, dtype=torch.bool),
        "name": [f"noise_{index}" for index in range(batch_size)],
        "patient": ["noise"] * batch_size,
    }
    if num_classes > 1:
        classes = torch.randint(1, num_classes, (batch_size, height, width))
        batch["label"] = classes * batch["mask"][:, 0].long()
    return batch
