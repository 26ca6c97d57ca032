"""From a slice as stored to the network's input: size, augmentation, z-score."""

from dataclasses import astuple, dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from datasets.blur import gaussian_blur
from datasets.crop import Box, find_box


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
        blur: Standard deviation of a Gaussian through which the slice is seen, px of the input.
        gamma: Exponent of its levels, as parts of the brightest; below 1 faint haze is brighter.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        augmentation: Augmentation | None = None,
        crop: str | None = None,
        blur: float = 0.0,
        gamma: float = 1.0,
    ) -> None:
        self.crop, self.blur, self.gamma = crop, blur, gamma
        self._size = tuple(image_size)
        self._changes = None
        if augmentation and any(astuple(augmentation)):
            # Here, as torchvision takes a second to import and a prediction needs none of it.
            from datasets.random_changes import RandomChanges

            self._changes = RandomChanges(augmentation)

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
        image = torch.cat([image[:1] - image[:1].min(), image[1:]])
        if image.shape[1:] != self._size:
            image = F.interpolate(image[None], self._size, mode="bilinear", antialias=True)[0]
        if masks.shape[1:] != self._size and len(masks):
            masks = F.interpolate(masks[None], self._size, mode="nearest")[0]
        return image, masks.reshape(len(masks), *self._size)

    def finish(self, image: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """The second step, of what `resize` gave: random changes and the z-score."""
        if self._changes is None:
            return torch.cat([self._normalise(image[:1]), image[1:]]), masks
        image, masks = self._changes.move(image, masks)
        levels = self._normalise(self._changes.change_appearance(image[:1]))
        return torch.cat([self._changes.change_intensity(levels), image[1:]]), masks

    def _normalise(self, levels: Tensor) -> Tensor:
        if self.gamma != 1:
            top = levels.max().clamp(min=1e-6)
            levels = top * (levels / top) ** self.gamma
        return z_score(gaussian_blur(levels, self.blur) if self.blur else levels)
