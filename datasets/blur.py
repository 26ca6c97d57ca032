"""Slices seen through a Gaussian.

As torchvision's gaussian_blur, whose import alone would take a prediction a second.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_REACH = 3  # standard deviations


def gaussian_blur(levels: Tensor, deviation: float, reach: int | None = None) -> Tensor:
    """Under a Gaussian; beyond the border the slice is its mirror image.

    Args:
        levels: (1, H, W) float32.
        deviation: Standard deviation, px, above 0.
        reach: Where the Gaussian ends, px; None: at three standard deviations.
    """
    reach = math.ceil(_REACH * deviation) if reach is None else reach
    reach = min(reach, *(side - 1 for side in levels.shape[-2:]))  # what reflection can fill
    places = torch.linspace(-reach, reach, 2 * reach + 1, device=levels.device)
    weights = torch.exp(-0.5 * (places / deviation) ** 2)
    weights = weights / weights.sum()
    kernel = (weights[:, None] * weights)[None, None].to(levels.dtype)
    return F.conv2d(F.pad(levels[None], [reach] * 4, mode="reflect"), kernel)[0]
