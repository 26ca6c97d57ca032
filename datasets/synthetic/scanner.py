"""The scanner of the synthetic patients: from layers of HU to grey levels."""

from typing import NamedTuple

import cv2
import numpy as np

from datasets.intensity import LUNG_WINDOW
from datasets.synthetic.phantom import Layers
from datasets.synthetic.shapes import Frame
from datasets.synthetic.textures import Textures


class Scanner(NamedTuple):
    """Imaging properties of one patient's scan.

    Attributes:
        blur: Standard deviation of the point spread, units.
        sharpen: Overshoot of a sharp kernel.
        noise: Of the lung, HU; a low dose has more.
        body_noise: Of the rest of the body, HU.
        grains: Weights of the noise's white, fine and medium part: soft kernels make it coarse.
        thickness: Of a slice, units.
        motion: How far heart and diaphragm move during the exposure, units; 0 for a held breath.
        gain: Factor on the distance from air.
        offset: HU.
    """

    blur: float
    sharpen: float
    noise: float
    body_noise: float
    grains: tuple[float, float, float]
    thickness: float
    motion: float
    gain: float
    offset: float

    @classmethod
    def make(cls, rng: np.random.Generator) -> "Scanner":
        """Draw a patient's scanner."""
        thick = rng.random() < 0.3
        white, soft = rng.uniform(0.2, 0.9), rng.uniform(0, 0.5)
        grains = np.array([white, 1 - 0.5 * white, soft])
        white, fine, medium = grains / np.linalg.norm(grains)
        return cls(
            blur=rng.uniform(0.3, 0.65) if rng.random() < 0.8 else rng.uniform(0.65, 1.1),
            sharpen=rng.uniform(0.2, 1.1),
            noise=np.exp(rng.uniform(np.log(24), np.log(66))),
            body_noise=rng.uniform(5, 20),
            grains=(white, fine, medium),
            thickness=rng.uniform(2, 5.5) if thick else rng.uniform(0.8, 1.6),
            motion=rng.uniform(0.4, 1.2) if rng.random() < 0.12 else 0.0,
            gain=float(np.clip(rng.normal(1.01, 0.045), 0.9, 1.13)),
            offset=rng.normal(0, 10),
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
        if self.motion:  # what moves is seen at both ends of its way
            way = rng.normal(0, self.motion * frame.scale, 2)
            shift = np.array([[1, 0, way[0]], [0, 1, way[1]]])
            hu += 0.4 * (cv2.warpAffine(hu, shift, (size, size), borderMode=1) - hu)
        hu = cv2.GaussianBlur(hu, (0, 0), max(0.3, self.blur * frame.scale))
        names = ("white", "fine", "medium")
        noise = sum(
            np.float32(weight) * textures.random(rng, name, size)
            for weight, name in zip(self.grains, names, strict=True)
        )
        level = self.body_noise + layers.lung * (self.noise - self.body_noise)
        level = np.where(layers.soft < -700, 0.3 * level, level)
        hu += level * noise
        hu += self.sharpen * (hu - cv2.GaussianBlur(hu, (0, 0), 1.1 * frame.scale))
        gain = self.gain * (1 + rng.normal(0, 0.006))
        # The gain turns about air, as air is fixed by the scanner's calibration.
        hu = (hu + 1000) * gain - 1000
        return LUNG_WINDOW.apply(hu + self.offset)
