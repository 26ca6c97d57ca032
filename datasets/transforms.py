"""From a slice as stored to the network's input: size, augmentation, z-score."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from datasets.appearance import change_appearance
from datasets.crop import Box, find_box

_APPEARANCE = ("low_resolution", "blur", "curve", "gamma", "window")


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training slices; all 0 is off, as in the paper.

    Attributes:
        horizontal_flip: Probability.
        rotation: Largest angle, degrees either way.
        translation: Largest shift, fraction of the side.
        scale: Largest change of size, fraction either way.
        brightness: Largest offset, standard deviations of the slice.
        contrast: Largest change of the factor, fraction either way.
        noise: Standard deviation of Gaussian noise, standard deviations of the slice.
        low_resolution: See datasets.appearance.change_appearance, as for the following ones.
        blur: Largest standard deviation, px of the network's input.
        curve: Largest change of a slope, fraction either way.
        gamma: Exponent between 1 / (1 + gamma) and 1 + gamma.
        window: Largest part of the range that is cut off at either end.
    """

    horizontal_flip: float = 0.0
    rotation: float = 0.0
    translation: float = 0.0
    scale: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0
    low_resolution: float = 0.0
    blur: float = 0.0
    curve: float = 0.0
    gamma: float = 0.0
    window: float = 0.0

    @property
    def appearance(self) -> dict[str, float]:
        """What datasets.appearance takes."""
        return {key: getattr(self, key) for key in _APPEARANCE}


def z_score(image: Tensor) -> Tensor:
    """Zero mean and unit deviation per slice (section 4.1); a constant slice becomes 0."""
    deviation = image.std(correction=0)
    # Resizing leaves a constant slice constant to rounding only, which must not be blown up.
    is_constant = deviation <= 1e-5 * image.abs().max()
    # where: an if would make the CPU wait for a GPU
    return torch.where(is_constant, 0.0, (image - image.mean()) / deviation)


class SliceTransform:
    """Resize image and masks jointly, augment, z-score the image.

    The two steps may run in different places: `resize` in a loader's process, `finish` on the
    network's device. Random numbers come from torch's CPU generator wherever that is.

    Args:
        image_size: (H, W) of the network's input. Images are resized bilinearly with
            antialiasing, masks by nearest neighbour.
        augmentation: Random changes; None leaves the slice as it is.
        crop: What is cut out of the slice before all else, a name of datasets.crop; None: nothing.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        augmentation: Augmentation | None = None,
        crop: str | None = None,
    ) -> None:
        self.crop = crop
        self.augmentation = augmentation or Augmentation()
        self._resize = v2.Resize(image_size, antialias=True)
        steps: list[v2.Transform] = []
        settings = self.augmentation
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

    def __call__(self, image: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Transform one slice.

        Args:
            image: (1, H, W) float32 grey levels; (2, H, W) with a guide in [0, 1], which only
                moves with the slice.
            masks: (M, H, W) uint8, masks that move with the image.

        Returns:
            The z-scored image (1, h, w), with the guide (2, h, w); the masks (M, h, w).
        """
        return self.finish(*self.resize(image, masks))

    def find_box(
        self, levels: NDArray[np.unsignedinteger], lung: NDArray[np.uint8] | None
    ) -> Box | None:
        """What is to be cut out of a slice (H, W) as stored, with its lungs; None: nothing."""
        return None if self.crop is None else find_box(self.crop, levels, lung)

    def resize(self, image: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """The first step: grey levels from 0 (1, h, w) and masks (M, h, w) at the new size."""
        # What an affine change leaves open is filled with 0: the darkest level, air.
        levels, guide = image[:1], image[1:]
        return _apply(self._resize, torch.cat([levels - levels.min(), guide]), masks)

    def finish(self, image: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """The second step, of what `resize` gave: random changes and the z-score."""
        if self._move:
            image, masks = _apply(self._move, image, masks)
        levels, guide = image[:1], image[1:]
        levels = change_appearance(levels, **self.augmentation.appearance)
        return torch.cat([self._change_intensity(z_score(levels)), guide]), masks

    def _change_intensity(self, image: Tensor) -> Tensor:
        """Contrast, brightness, noise; after the z-score, which would undo the first two."""
        settings = self.augmentation
        if settings.contrast:
            image = image * (1 + settings.contrast * _uniform())
        if settings.brightness:
            image = image + settings.brightness * _uniform()
        if settings.noise:
            image = image + settings.noise * torch.randn(image.shape).to(image.device)
        return image


def _apply(transform: v2.Transform, image: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Image and masks through one geometric change: bilinear the one, nearest the others."""
    image, masks = transform(tv_tensors.Image(image), tv_tensors.Mask(masks))
    return image.as_subclass(Tensor), masks.as_subclass(Tensor)


def _uniform() -> float:
    """A number from [-1, 1) of torch's generator."""
    return 2 * torch.rand(()).item() - 1
