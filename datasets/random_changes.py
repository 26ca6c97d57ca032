"""The random changes of training slices, as datasets.transforms.Augmentation sets them."""

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from datasets.appearance import change_appearance
from datasets.transforms import Augmentation


class RandomChanges:
    """Moves slices with their masks, and changes their grey levels.

    Random numbers come from torch's CPU generator, wherever the slices are.
    """

    def __init__(self, settings: Augmentation) -> None:
        self._settings = settings
        steps: list[v2.Transform] = []
        if settings.horizontal_flip:
            steps.append(v2.RandomHorizontalFlip(settings.horizontal_flip))
        if settings.rotation or settings.translation or settings.scale:
            steps.append(
                v2.RandomAffine(
                    degrees=settings.rotation,
                    translate=(settings.translation, settings.translation),
                    scale=(1 - settings.scale, 1 + settings.scale),
                    interpolation=v2.InterpolationMode.BILINEAR,
                )
            )
        self._move = v2.Compose(steps) if steps else None

    def move(self, image: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Flip, turn, shift, scale: image (C, H, W) bilinearly, masks (M, H, W) to the nearest."""
        if self._move is None:
            return image, masks
        image, masks = self._move(tv_tensors.Image(image), tv_tensors.Mask(masks))
        return image.as_subclass(Tensor), masks.as_subclass(Tensor)

    def change_appearance(self, levels: Tensor) -> Tensor:
        """Grey levels from 0 (1, H, W) as another scanner would show them."""
        settings = self._settings
        return change_appearance(
            levels,
            low_resolution=settings.low_resolution,
            blur=settings.blur,
            curve=settings.curve,
            gamma=settings.gamma,
            window=settings.window,
        )

    def change_intensity(self, image: Tensor) -> Tensor:
        """Contrast, brightness, noise of (1, H, W); after the z-score, which would undo two."""
        settings = self._settings
        if settings.contrast:
            image = image * (1 + settings.contrast * _uniform())
        if settings.brightness:
            image = image + settings.brightness * _uniform()
        if settings.noise:
            image = image + settings.noise * torch.randn(image.shape).to(image.device)
        return image


def _uniform() -> float:
    """A number from [-1, 1) of torch's generator."""
    return 2 * torch.rand(()).item() - 1
