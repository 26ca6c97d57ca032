"""The X-ray machine of the synthetic patients: from water along the rays to grey levels."""

from typing import NamedTuple

import cv2
import numpy as np

from datasets.synthetic.projection import Projection

ATTENUATION = 0.019  # of water, per mm, at the energy that a film of the chest is taken at


class Detector(NamedTuple):
    """Imaging properties of one patient's X-ray.

    Attributes:
        scatter: Scattered rays as a share of all others, spread over the neighbourhood.
        photons: Per px where nothing is in the way; quantum noise follows from it.
        blur: Standard deviation of the point spread, units.
        balance: How much of the coarse shading the processing takes away, 0 to 1.
        sharpen: Overshoot of its edge enhancement.
        gamma: Of the grey levels.
    """

    scatter: float
    photons: float
    blur: float
    balance: float
    sharpen: float
    gamma: float

    @classmethod
    def make(cls, rng: np.random.Generator) -> "Detector":
        """Draw a patient's machine."""
        return cls(
            scatter=rng.uniform(0.15, 0.5),
            photons=np.exp(rng.uniform(np.log(6e4), np.log(5e5))),
            blur=rng.uniform(0.4, 0.8),
            balance=rng.uniform(0.15, 0.45),
            sharpen=rng.uniform(0.3, 1.2),
            gamma=rng.uniform(0.8, 1.3),
        )

    def expose(self, projection: Projection, scale: float, rng: np.random.Generator) -> np.ndarray:
        """Attenuate, scatter, count photons; then the logarithm and the processing.

        Args:
            projection: Of the patient.
            scale: px per unit.
            rng: Of the noise.

        Returns:
            (H, W) uint8, bone bright.
        """
        direct = np.exp(-ATTENUATION * projection.body_mm)
        direct = cv2.GaussianBlur(direct, (0, 0), max(0.3, self.blur * scale))
        seen = direct + self.scatter * cv2.GaussianBlur(direct * (direct < 0.5), (0, 0), 25 * scale)
        mean = seen * self.photons
        seen = np.maximum(mean + np.sqrt(mean) * rng.standard_normal(mean.shape), 1) / self.photons
        density = -np.log(seen).astype(np.float32)
        density -= self.balance * cv2.GaussianBlur(density, (0, 0), 30 * scale)
        density += self.sharpen * (density - cv2.GaussianBlur(density, (0, 0), 2 * scale))
        inside = projection.body_mm > 20
        low, high = np.percentile(density[inside], (1, 99.5))
        levels = np.clip((density - low) / (high - low), 0, 1) ** self.gamma
        return np.rint(235 * levels).astype(np.uint8)
