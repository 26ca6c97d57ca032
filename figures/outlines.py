"""Borders of masks as SVG paths."""

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.measure import find_contours

# Only points in line with their neighbours go: the least that another lies off is 0.2 px.
_TOLERANCE_PX = 0.1


# Pixel sides along which an outline runs; 2 characters of path each, 8 where all is specks.
_MOST_SIDES = 3000


def outline(mask: NDArray[np.bool_]) -> tuple[str, int]:
    """Border of a mask as an SVG path, in px from the upper left corner of the image.

    It runs along the pixels' sides and cuts their corners. A mask too ragged to be drawn so, such
    as the prediction of an untrained network, is outlined in blocks of 2, 4, 8 ... px, each inside
    where at least half of it is.

    Args:
        mask: (H, W) bool.

    Returns:
        - Closed subpaths "Mx y x y ...Z" with at most one decimal; "" for an empty mask.
        - Side of a block in px; 1 where the pixels themselves are outlined.
    """
    height, width = mask.shape
    block = 1
    coverage = mask.astype(np.float32)
    while _num_sides(coverage >= 0.5) > _MOST_SIDES:
        block *= 2
        size = (max(width // block, 1), max(height // block, 1))
        coverage = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    scale = np.array([width, height]) / coverage.shape[::-1]
    # A frame of background closes the outline of what touches the image's border.
    framed = np.pad(coverage >= 0.5, 1).astype(np.float32)
    subpaths = []
    for contour in find_contours(framed, 0.5):
        points = (contour[:-1, ::-1] - 0.5).astype(np.float32)
        corners = cv2.approxPolyDP(points, _TOLERANCE_PX, True).reshape(-1, 2)
        subpaths.append("M" + " ".join(map(_number, (corners * scale).ravel())) + "Z")
    return "".join(subpaths), block


def _num_sides(mask: NDArray[np.bool_]) -> int:
    """Sides between a pixel inside and one outside."""
    return sum(int(np.count_nonzero(np.diff(mask, axis=axis))) for axis in (0, 1))


def _number(coordinate: float) -> str:
    """One decimal at most, and none where it is 0."""
    return f"{coordinate:.1f}".removesuffix(".0")
