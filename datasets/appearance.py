"""How another scanner or window would show a slice: random changes of grey levels and sharpness."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from datasets.blur import gaussian_blur

_CURVE_PARTS = 5
_LEAST_SIGMA = 0.1  # px; a Gaussian below it is no change


def change_appearance(
    levels: Tensor, *, low_resolution: float, blur: float, curve: float, gamma: float, window: float
) -> Tensor:
    """A slice as it might have come from elsewhere; no change turns dark to bright.

    Each strength that is not 0 draws one change between none and the strongest, in the order of
    a scanner: resolution, kernel, then the contrast of the levels between the slice's darkest and
    its brightest.

    Args:
        levels: (1, H, W) float32 grey levels from 0.
        low_resolution: Largest part of the side's px that is lost, in [0, 1).
        blur: Largest standard deviation of a Gaussian, px.
        curve: Largest change of the slope of each part of a curve, fraction either way, below 1.
        gamma: Exponent between 1 / (1 + gamma) and 1 + gamma.
        window: Largest part of the range that is cut off at either end.

    Returns:
        (1, H, W) levels, from 0 to the former brightest one.
    """
    if low_resolution:
        levels = _coarsened(levels, 1 - low_resolution * _uniform())
    if blur:
        levels = _blurred(levels, blur * _uniform(), math.ceil(3 * blur))
    if not (curve or gamma or window):
        return levels
    top = levels.max()
    levels = levels / top.clamp(min=1e-6)
    if curve:
        levels = _bent(levels, [1 + curve * (2 * _uniform() - 1) for _ in range(_CURVE_PARTS)])
    if gamma:
        levels = levels ** ((1 + gamma) ** (2 * _uniform() - 1))
    if window:
        low, high = window * _uniform(), 1 - window * _uniform()
        levels = ((levels - low) / (high - low)).clamp(0, 1)
    return levels * top


def _coarsened(levels: Tensor, factor: float) -> Tensor:
    """Sampled at fewer px and back, bilinearly."""
    size = levels.shape[-2:]
    fewer = [max(round(side * factor), 1) for side in size]
    coarse = F.interpolate(levels[None], fewer, mode="bilinear", antialias=True)
    return F.interpolate(coarse, size, mode="bilinear")[0]


def _blurred(levels: Tensor, sigma: float, reach: int) -> Tensor:
    """Under a Gaussian that ends `reach` px from its middle."""
    if sigma < _LEAST_SIGMA:
        return levels
    return gaussian_blur(levels, sigma, reach)


def _bent(levels: Tensor, slopes: list[float]) -> Tensor:
    """Through a rising curve from 0 to 1 of equal parts with these slopes, before scaling."""
    parts = torch.linspace(0, 1, len(slopes) + 1).tolist()[:-1]
    width = 1 / len(slopes)
    bent = sum(
        slope * (levels - start).clamp(0, width) for slope, start in zip(slopes, parts, strict=True)
    )
    return bent / (width * sum(slopes))


def _uniform() -> float:
    """A number from [0, 1) of torch's generator."""
    return torch.rand(()).item()
