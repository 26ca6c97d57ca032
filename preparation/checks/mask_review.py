"""The masks of a folder, scan by scan, and which of them lie wrong on their images."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from preparation.checks.mask_counts import MaskCounts, count_mask, make_mask_thumbnail
from preparation.checks.mask_fit import LESIONS, LUNGS, Misfit, find_misfits


class SliceThumbnails(NamedTuple):
    """A slice in small; lesion and lung are None where nobody has drawn them."""

    image: np.ndarray
    lesion: np.ndarray | None
    lung: np.ndarray | None
    is_square: bool


def thumbnails_of(
    image: np.ndarray, thumbnail: np.ndarray, lesion: np.ndarray | None, lung: np.ndarray | None
) -> SliceThumbnails:
    """A slice in small.

    Args:
        image: (H, W).
        thumbnail: Of it, by make_thumbnail.
        lesion: (H, W), 0 outside.
        lung: (H, W), 0 outside.
    """
    masks = (None if mask is None else make_mask_thumbnail(mask) for mask in (lesion, lung))
    return SliceThumbnails(thumbnail, *masks, image.shape[0] == image.shape[1])


class MaskReview:
    """Takes one scan after another; keeps counts, not pictures."""

    def __init__(self) -> None:
        self._scans: dict[str, dict[str, list[MaskCounts]]] = {
            LESIONS: defaultdict(list),
            LUNGS: defaultdict(list),
        }

    def add(self, patient: str, slices: Sequence[SliceThumbnails]) -> None:
        """Count a scan.

        Args:
            patient: Whose.
            slices: In their order.
        """
        is_square = all(item.is_square for item in slices)
        for kind, masks in (
            (LESIONS, [item.lesion for item in slices]),
            (LUNGS, [item.lung for item in slices]),
        ):
            drawn = [place for place, mask in enumerate(masks) if mask is not None]
            if drawn:
                images = [slices[place].image for place in drawn]
                own = [masks[place] for place in drawn]
                self._scans[kind][patient].append(count_mask(images, own, is_square=is_square))

    def misfits(self) -> list[Misfit]:
        """The masks that lie wrong, lesions first."""
        return [found for kind, scans in self._scans.items() for found in find_misfits(kind, scans)]
