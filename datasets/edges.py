"""Edge targets from masks."""

import cv2
import numpy as np


def edge_of_mask(mask: np.ndarray, width: int) -> np.ndarray:
    """The lesion's boundary: morphological gradient, dilation minus erosion.

    The papers' edge maps come from an edge detector that neither of them states in full; the
    gradient needs no thresholds and has a width in px that does not depend on the shape. A square
    element of width + 1 px gives a line of `width` px; the frame of the image is no edge.

    Args:
        mask: (H, W) uint8, 0 or 1.
        width: Width of the line in px, at least 1.

    Returns:
        (H, W) uint8, 0 or 1; empty for an empty mask.
    """
    element = np.ones((width + 1, width + 1), np.uint8)
    return cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, element)
