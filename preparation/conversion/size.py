"""Slices made smaller: images of thousands of px hold more than a network sees."""

import cv2
import numpy as np

from datasets.sources.source import CaseSlice


def shrink_slice(item: CaseSlice, max_side: int | None) -> CaseSlice:
    """A slice whose longer side has max_side px at most.

    Grey levels are averaged over the area of a px. A px of a label has the class, or the
    background, that most of its area had, a px of a lung mask is set where half of it was, and one
    of an edge where any of it was.

    Args:
        item: The slice.
        max_side: px; None or 0 leaves every slice as it is, and so is one that is smaller.
    """
    height, width = item.image.shape
    factor = (max_side or 0) / max(height, width)
    if not 0 < factor < 1:
        return item
    size = (max(round(width * factor), 1), max(round(height * factor), 1))

    def share(mask: np.ndarray) -> np.ndarray:
        """How much of every px was set, 0 to 1."""
        return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)

    label = item.label
    if label is not None:
        classes = np.unique(np.append(label, 0)).astype(np.uint8)
        label = classes[np.argmax([share(label == value) for value in classes], axis=0)]
    return item._replace(
        image=cv2.resize(item.image, size, interpolation=cv2.INTER_AREA),
        label=label,
        lung=None if item.lung is None else share(item.lung) >= 0.5,
        edge=None if item.edge is None else share(item.edge) > 0,
    )
