"""Guides: a map of lesion beside every slice, as a further channel of its image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datasets.image_io import read_gray
from datasets.pairing import SliceFiles, images_by_stem
from utils.errors import UserError
from utils.messages import count, first_of


def with_guides(
    slices: Sequence[SliceFiles], sizes: Sequence[tuple[int, int]], folder: Path, split: str
) -> list[SliceFiles]:
    """The slices with their maps, <folder>/<split>/<stem> or <folder>/<stem>.

    Args:
        slices: Of the split.
        sizes: Height and width of each, px.
        folder: 8-bit grey maps, 255 being certain, or masks of 0 and 255; the stems and the sizes
            are those of the images.
        split: train, val or test.

    Raises:
        UserError: No such folder, slices without a map, a map of another size, or masks of 0 and 1.
    """
    place = folder / split if (folder / split).is_dir() else folder
    if not place.is_dir():
        raise UserError(f"data.guide: {folder}: no such folder; test.py --save-maps writes one")
    maps = images_by_stem(place)
    lacking = [files.name for files in slices if files.name not in maps]
    if lacking:
        of_another = "; these are maps of other slices" if len(lacking) == len(slices) else ""
        raise UserError(
            f"data.guide: {place}: no map for {len(lacking)} of {count(len(slices), 'slice')} of "
            f"{split} ({first_of(lacking)}){of_another}"
        )
    guided = [files._replace(guide=maps[files.name]) for files in slices]
    brightest = max(_check(files, size) for files, size in zip(guided, sizes, strict=True))
    if brightest == 1:
        raise UserError(f"data.guide: {place}: holds 0 and 1 alone; store masks as 0 and 255")
    return guided


def _check(files: SliceFiles, size: tuple[int, int]) -> int:
    """The largest level of a map; refuses one that does not lie over its image."""
    guide = read_gray(files.guide)
    if guide.shape != size:
        raise UserError(
            f"data.guide: {files.guide}: {guide.shape[0]} x {guide.shape[1]} px, but "
            f"{files.image} has {size[0]} x {size[1]} px; both must have the same size"
        )
    if guide.dtype != np.uint8:
        raise UserError(f"data.guide: {files.guide}: maps have 8 bits, 255 being certain")
    return int(guide.max())
