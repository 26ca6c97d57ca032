"""Batches of noise, for what depends on shapes alone."""

import torch

from utils.contracts import Batch

_LESION_FRACTION = 0.1  # of the random targets


def noise_batch(batch_size: int, height: int, width: int) -> Batch:
    """Noise as a collated batch of slices, drawn from torch's generator."""
    shape = (batch_size, 1, height, width)
    return {
        "image": torch.randn(shape),
        "mask": (torch.rand(shape) < _LESION_FRACTION).float(),
        "edge": (torch.rand(shape) < _LESION_FRACTION).float(),
        "lung": torch.zeros(shape),
        "has_lung": torch.zeros(batch_size, dtype=torch.bool),
        "is_padding": torch.zeros(batch_size, dtype=torch.bool),
        "name": [f"noise_{index}" for index in range(batch_size)],
        "patient": ["noise"] * batch_size,
    }
