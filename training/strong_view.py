"""Strong views of slices: other grey levels, blur, noise, and boxes that two slices exchange."""

import torch
from torch import Tensor

from datasets.blur import gaussian_blur
from utils.config_semi_supervised import StrongConfig

_SIDES = (0.25, 0.75)  # of a box, fractions of the image's


def strong_view(images: Tensor, draws: Tensor, strong: StrongConfig) -> Tensor:
    """Each slice changed by its own random numbers, whatever batch or process it is in.

    Contrast, then brightness, then with probability 1/2 a blur, then noise.

    Args:
        images: (B, 1, H, W) z-scored.
        draws: (B,) int64 seeds.
        strong: Largest changes.

    Returns:
        (B, 1, H, W).
    """
    if not any(strong.model_dump().values()):
        return images
    views = [_change(*pair, strong) for pair in zip(images, draws.tolist(), strict=True)]
    return torch.stack(views) if views else images


def _change(image: Tensor, draw: int, strong: StrongConfig) -> Tensor:
    """One slice (1, H, W)."""
    generator = torch.Generator().manual_seed(draw)
    contrast, brightness, coin, sigma = torch.rand(4, generator=generator).tolist()
    image = image * (1 + strong.contrast * (2 * contrast - 1))
    image = image + strong.brightness * (2 * brightness - 1)
    sigma = sigma * strong.blur
    if coin < 0.5 and sigma > 0.1:
        image = gaussian_blur(image, sigma, int(2 * sigma + 0.5))
    if strong.noise:
        noise = torch.randn(image.shape, generator=generator)
        image = image + strong.noise * noise.to(image.device, image.dtype)
    return image


def cut_boxes(shape: torch.Size, draws: Tensor, probability: float) -> Tensor:
    """Where the slices 2i and 2i + 1 of a batch exchange a box: CutMix between the two.

    Args:
        shape: Of the images, (B, 1, H, W); an odd last slice keeps its own.
        draws: (B,) int64 seeds; those of the even slices count.
        probability: Of an exchange.

    Returns:
        (B, 1, H, W) bool, equal for both of a pair.

    Source: S. Yun et al., "CutMix", ICCV 2019; G. French et al., "Semi-supervised semantic
    segmentation needs strong, varied perturbations", BMVC 2020.
    """
    boxes = torch.zeros((shape[0], 1, *shape[2:]), dtype=torch.bool)
    for first in range(0, shape[0] - 1, 2):
        generator = torch.Generator().manual_seed(int(draws[first]) ^ 1)
        coin, *places = torch.rand(5, generator=generator).tolist()
        if coin < probability:
            height, width = (_length(n, p) for n, p in zip(shape[2:], places[:2], strict=True))
            top = round((shape[2] - height) * places[2])
            left = round((shape[3] - width) * places[3])
            boxes[first : first + 2, :, top : top + height, left : left + width] = True
    return boxes


def _length(side: int, place: float) -> int:
    """Of a box, by a number from 0 to 1."""
    low, high = _SIDES
    return round(side * (low + (high - low) * place))


def exchange(values: Tensor, boxes: Tensor) -> Tensor:
    """The values of each pair exchanged in its boxes; both (B, C or 1, H, W)."""
    order = [i ^ 1 if (i ^ 1) < len(values) else i for i in range(len(values))]
    return torch.where(boxes.to(values.device), values[order], values)
