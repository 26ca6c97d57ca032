"""The noise that organs, lungs and lesions are textured with."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Textures:
    """Unit-variance noise fields of one patient, drawn once and reused with other offsets."""

    white: np.ndarray
    fine: np.ndarray
    medium: tuple[np.ndarray, np.ndarray]
    coarse: tuple[np.ndarray, np.ndarray]

    @staticmethod
    def make(rng: np.random.Generator, size: int) -> "Textures":
        """Fields with a margin; blur widths follow the image size."""
        unit, side = size / 256, size + size // 4

        def field(sigma: float) -> np.ndarray:
            white = rng.standard_normal((side, side), dtype=np.float32)
            blurred = cv2.GaussianBlur(white, (0, 0), sigma)
            return blurred / blurred.std()

        return Textures(
            white=rng.standard_normal((side, side), dtype=np.float32),
            fine=field(max(0.75 * unit, 0.5)),
            medium=(field(2.0 * unit), field(2.0 * unit)),
            coarse=(field(6.0 * unit), field(6.0 * unit)),
        )

    def random(self, rng: np.random.Generator, name: str, size: int) -> np.ndarray:
        """A crop (size, size) at a random offset: unrelated from slice to slice."""
        field = getattr(self, name)
        field = field[0] if isinstance(field, tuple) else field
        top, left = rng.integers(0, field.shape[0] - size, 2)
        return field[top : top + size, left : left + size]

    def drifting(self, name: str, z: float, period: float, size: int) -> np.ndarray:
        """A crop which changes smoothly with depth z, over about `period` units."""
        first, second = getattr(self, name)
        phase = np.pi * z / (2 * period)
        cos, sin = np.float32(np.cos(phase)), np.float32(np.sin(phase))
        return cos * first[:size, :size] + sin * second[-size:, -size:]
