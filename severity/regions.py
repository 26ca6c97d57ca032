"""Regions of the lungs by height, and how much of each is lesion.

Each lung is cut at thirds of its own height, from its lowest to its highest slice. For the score
the right lung's thirds stand for its three lobes, and halves of the left lung's height for its two.
These are heights, not lobes: fissures run obliquely, and no fissure is looked for.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from severity.lungs.lobes import LOBES
from severity.lungs.sides import LEFT, RIGHT, SIDES
from severity.score import lobe_points, total_score

_PARTS = {"third": ("lower", "middle", "upper"), "half": ("lower", "upper")}


class SliceCounts(NamedTuple):
    """Voxels per slice, and per side in columns 0 (outside of lungs), LEFT and RIGHT.

    Attributes:
        lung: (slices, 3) int64; column 0 is of no use.
        lesion: (slices, 3) int64.
    """

    lung: NDArray[np.int64]
    lesion: NDArray[np.int64]


class Region(NamedTuple):
    """A part of the lungs.

    Attributes:
        name: Such as "right lung, upper third".
        lung_ml: Its volume with lesions, mL.
        lesion_ml: Lesion in it, mL.
        involvement_percent: Share of it that is lesion; None where the scan shows none of it.
        points: Points of the score, of the five regions that stand for lobes; None of others.
        is_lobe: Whether it is one of the five.
    """

    name: str
    lung_ml: float
    lesion_ml: float
    involvement_percent: float | None
    points: int | None = None
    is_lobe: bool = False


def describe_regions(counts: SliceCounts, voxel_ml: float) -> list[Region]:
    """Both lungs, each lung, its thirds from top to bottom, and the left lung's halves.

    Args:
        counts: Slices from feet to head.
        voxel_ml: Volume of a voxel, mL.
    """
    everywhere = np.ones(len(counts.lung), bool)
    regions = [_region("both lungs", counts, everywhere, (RIGHT, LEFT), voxel_ml)]
    for side, name in SIDES.items():
        regions.append(_region(f"{name} lung", counts, everywhere, (side,), voxel_ml))
        for kind in ("third",) if side == RIGHT else ("third", "half"):
            is_lobe = kind == ("third" if side == RIGHT else "half")
            parts = _PARTS[kind]
            number = _part_of_height(counts.lung[:, side], len(parts))
            for part in reversed(range(len(parts))):
                title = f"{name} lung, {parts[part]} {kind}"
                region = _region(title, counts, number == part, (side,), voxel_ml)
                regions.append(_scored(region) if is_lobe else region)
    return regions


def describe_lobes(counts: NDArray[np.int64], voxel_ml: float) -> list[Region]:
    """The five lobes of a lobe map with their points, right before left, from top to bottom.

    Args:
        counts: (5, 2) as GivenLobes.count.
        voxel_ml: Volume of a voxel, mL.
    """
    lobes = []
    for (name, _), (lung, lesion) in zip(LOBES, counts.tolist(), strict=True):
        involvement = 100 * lesion / lung if lung else None
        lobes.append(_scored(Region(name, lung * voxel_ml, lesion * voxel_ml, involvement)))
    return lobes[2:] + lobes[:2]


def score_of(regions: list[Region]) -> int | None:
    """Points of all lobes, 0 to 25; None where the scan does not show all five."""
    return total_score([region.points for region in regions if region.is_lobe])


def _part_of_height(lung: NDArray[np.int64], num_parts: int) -> NDArray[np.int64]:
    """The part that each slice's middle lies in, from the bottom; -1 beyond the lung.

    A single slice lies in the middle: of three parts in the second, of two in the upper.
    """
    found = np.flatnonzero(lung)
    if not len(found):
        return np.full(len(lung), -1)
    bottom, height = found[0], found[-1] - found[0] + 1
    # In whole numbers, so that a slice at a border never depends on rounding.
    part = (2 * (np.arange(len(lung)) - bottom) + 1) * num_parts // (2 * height)
    return np.where((part >= 0) & (part < num_parts), part, -1)


def _region(
    name: str,
    counts: SliceCounts,
    slices: NDArray[np.bool_],
    sides: tuple[int, ...],
    voxel_ml: float,
) -> Region:
    lung = int(counts.lung[slices][:, sides].sum())
    lesion = int(counts.lesion[slices][:, sides].sum())
    involvement = 100 * lesion / lung if lung else None
    return Region(name, lung * voxel_ml, lesion * voxel_ml, involvement)


def _scored(region: Region) -> Region:
    involvement = region.involvement_percent
    points = None if involvement is None else lobe_points(involvement)
    return region._replace(points=points, is_lobe=True)
