"""Bilinear resizing, in the two conventions that the published networks use."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def resize(features: Tensor, like: Tensor | Sequence[int]) -> Tensor:
    """Resize by the centres of pixels (align_corners false).

    Args:
        features: (B, C, h, w).
        like: A tensor (..., H, W) whose size is taken, or (H, W).

    Returns:
        (B, C, H, W); the features themselves where the size already fits.
    """
    return _resize(features, like, align_corners=False)


def resize_aligned(features: Tensor, like: Tensor | Sequence[int]) -> Tensor:
    """Resize so that corner pixels stay in the corners (align_corners true); else as resize."""
    return _resize(features, like, align_corners=True)


def _resize(features: Tensor, like: Tensor | Sequence[int], align_corners: bool) -> Tensor:
    size = tuple(like.shape[-2:] if isinstance(like, Tensor) else like)
    if tuple(features.shape[-2:]) == size:
        return features
    return F.interpolate(features, size=size, mode="bilinear", align_corners=align_corners)
