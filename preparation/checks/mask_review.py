"""The masks of a folder, scan by scan, and which of them lie wrong on their images."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from preparation.checks.mask_counts import (
    MaskCounts,
    count_mask,
    make_mask_thumbnail,
    survey_images,
)
from preparation.checks.mask_fit import LESIONS, LUNGS, Misfit, find_misfits

# Share of all px; lungs fill half of an image at the most, or more of one that is cropped to them.
_MOST_COVERED = 0.7


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
        kinds = ((LESIONS, [i.lesion for i in slices]), (LUNGS, [i.lung for i in slices]))
        if all(mask is None for _, masks in kinds for mask in masks):
            return
        images = survey_images([item.image for item in slices])
        for kind, masks in kinds:
            drawn = [place for place, mask in enumerate(masks) if mask is not None]
            if drawn:
                own = images if len(drawn) == len(slices) else images.some(drawn)
                counts = count_mask(own, [masks[place] for place in drawn], is_square=is_square)
                self._scans[kind][patient].append(counts)

    def counts(self, kind: str) -> Mapping[str, Sequence[MaskCounts]]:
        """The scans of every patient; of a scan the slices that anybody has drawn on."""
        return self._scans[kind]

    def misfits(self) -> list[Misfit]:
        """The masks that lie wrong, lesions first."""
        return [found for kind, scans in self._scans.items() for found in find_misfits(kind, scans)]

    def inverted(self) -> list[str]:
        """A sentence on every kind of mask that covers most of the images."""
        found = []
        for kind, scans in self._scans.items():
            counts = [item for items in scans.values() for item in items]
            covered = sum(float(item.mask[:, 0].sum()) for item in counts)
            share = covered / max(sum(int(item.px.sum()) for item in counts), 1)
            if share > _MOST_COVERED:
                found.append(f"{kind} cover {100 * share:.0f} % of the images: they look inverted")
        return found
