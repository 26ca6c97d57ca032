"""Pleural effusion: fluid that gathers between the lung and the chest wall."""

import cv2
import numpy as np

from datasets.synthetic.phantom import Layers
from datasets.synthetic.shapes import LUNG_HEIGHT, Frame

EFFUSION_HU = 12.0  # simple fluid: 0..20 HU
MIN_EFFUSION = 3.0  # units (4 mm); annotators leave a thinner film out


def paint_effusion(frame: Frame, depths: np.ndarray, layers: Layers, z: float) -> np.ndarray:
    """Paint the fluid between lung and posterior chest wall into `layers.lung_hu`.

    Args:
        frame: The patient's frame.
        depths: (2,) of the fluid at the base of the left and right lung, units.
        layers: Of the slice.
        z: Depth of the slice, units.

    Returns:
        (H, W) bool, where fluid is.
    """
    height = depths * np.clip((z / LUNG_HEIGHT - 0.35) / 0.5, 0, 1)
    if height.max() < MIN_EFFUSION:
        return np.zeros((frame.size, frame.size), bool)
    depth = np.where(frame.x < 0, height[0], height[1])
    back = np.where(layers.lung > 0.5, frame.y, -99).max(0, keepdims=True)
    # The crescent: deepest at the back, and following the chest wall to its sides.
    inside = (layers.pleura > 127).astype(np.uint8)
    wall = cv2.distanceTransform(inside, cv2.DIST_L2, 3) / frame.scale
    reach = depth * np.clip((frame.y - 5) / 45, 0, 1)
    fluid = (layers.lung > 0.5) & ((wall < 0.6 * reach) | (frame.y > back - 0.5 * reach))
    fluid &= (frame.y > 12) & ((np.abs(frame.x) > 30) | (frame.y > 35)) & (depth > MIN_EFFUSION)
    spread = cv2.dilate(fluid.astype(np.float32), np.ones((3, 3)))  # no dark seam at the wall
    cover = cv2.GaussianBlur(spread, (0, 0), 0.7 * frame.size / 256)
    layers.lung_hu += cover * (EFFUSION_HU - layers.lung_hu)
    return fluid
