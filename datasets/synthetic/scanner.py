"""The scanner of the synthetic patients: from layers of HU to grey levels."""

from typing import NamedTuple

import cv2
import numpy as np

from datasets.intensity import LUNG_WINDOW
from datasets.synthetic.phantom import Layers, Textures
from datasets.synthetic.shapes import Frame


class Scanner(NamedTuple):
    """Imaging properties of one patient's scan.

    Attributes:
        blur: Standard deviation of the point spread, units.
        sharpen: Overshoot of a sharp kernel.
        noise: Of the lung, HU.
        body_noise: Of the rest of the body, HU.
        gain: Factor on the distance from air.
    """

    blur: float
    sharpen: float
    noise: float
    body_noise: float
    gain: float

    @classmethod
    def make(cls, rng: np.random.Generator) -> "Scanner":
        """Draw a patient's scanner."""
        return cls(
            blur=rng.uniform(0.35, 0.75),
            sharpen=rng.uniform(0.2, 1.0),
            noise=rng.uniform(18, 40),
            body_noise=rng.uniform(6, 18),
            gain=float(np.clip(rng.normal(1.02, 0.045), 0.93, 1.13)),
        )

    def scan(
        self, frame: Frame, textures: Textures, layers: Layers, rng: np.random.Generator
    ) -> np.ndarray:
        """Compose the layers, blur them, add noise, and window to grey levels.

        Returns:
            (H, W) uint8, LUNG_WINDOW mapped to 0..255.
        """
        size = frame.size
        hu = layers.soft + layers.lung * (layers.lung_hu - layers.soft)
        hu = cv2.GaussianBlur(hu, (0, 0), max(0.3, self.blur * frame.scale))
        white = textures.random(rng, "white", size)
        fine = textures.random(rng, "fine", size)
        level = self.body_noise + layers.lung * (self.noise - self.body_noise)
        level = np.where(layers.soft < -700, 0.3 * level, level)
        hu += level * (0.6 * white + 0.8 * fine)
        hu += self.sharpen * (hu - cv2.GaussianBlur(hu, (0, 0), 1.1 * frame.scale))
        gain = self.gain * (1 + rng.normal(0, 0.006))
        # The gain turns about air, as air is fixed by the scanner's calibration.
        hu = (hu + 1000) * gain - 1000
        return LUNG_WINDOW.apply(hu)
