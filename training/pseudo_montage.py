"""Pictures of pseudo labels beside their slices."""

import cv2
import numpy as np

_TILE, _HEAD = 192, 18  # px


def draw_tiles(
    image: np.ndarray, prob: np.ndarray, truth: np.ndarray | None, name: str
) -> np.ndarray:
    """CT, pseudo label and hidden truth of a slice side by side, its name above.

    Args:
        image: (H, W) grey levels.
        prob: (H, W) probability of lesion, in [0, 1].
        truth: (H, W) bool; None where it is not known.
        name: Of the slice.

    Returns:
        A row of a montage, (h, w) uint8; all rows are as wide.
    """
    low, high = image.min(), image.max()
    grey = (image - low.astype(np.float32)) * (255 / max(float(high) - float(low), 1.0))
    blank = np.zeros_like(grey) if truth is None else truth * 255.0
    row = np.hstack([_fitted(pixels) for pixels in (grey, prob * 255, blank)])
    head = np.zeros((_HEAD, row.shape[1]), np.uint8)
    cv2.putText(head, name, (4, _HEAD - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1, cv2.LINE_AA)
    return np.vstack([head, row])


def _fitted(pixels: np.ndarray) -> np.ndarray:
    """Pixels as large as fit into a tile."""
    scale = _TILE / max(pixels.shape)
    size = tuple(max(1, round(side * scale)) for side in pixels.shape[::-1])
    tile = np.zeros((_TILE, _TILE), np.uint8)
    fitted = cv2.resize(pixels.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    tile[: size[1], : size[0]] = np.rint(fitted)
    return tile
