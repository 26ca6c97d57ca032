"""The lesions of a scan: components of its mask in three dimensions, with their sizes."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from severity.lungs.sides import LEFT, RIGHT, SIDES

# Columns of the table of parts: sums over voxels.
_VOXELS, _HU, _SLICE, _ROW, _COLUMN, _RIGHT, _LEFT = range(7)


class Lesion(NamedTuple):
    """One component of a mask.

    Attributes:
        volume_ml: Volume, mL.
        mean_hu: Mean HU, None where the scan is not in HU.
        first_slice: Lowest slice, counted from 0 at the feet.
        last_slice: Highest slice.
        centre: Mean slice, row and column.
        side: "right" or "left": the lung that holds most of what lies in lungs; "outside" of both;
            None where lungs are not known.
    """

    volume_ml: float
    mean_hu: float | None
    first_slice: int
    last_slice: int
    centre: tuple[float, float, float]
    side: str | None


class LesionTally:
    """Finds components slice by slice; voxels that share a corner belong together (26 neighbours).

    Memory holds two slices and a row per component of a slice.
    """

    def __init__(self) -> None:
        self._parts: list[NDArray[np.float64]] = []
        self._slices: list[NDArray[np.int64]] = []
        self._pairs: list[NDArray[np.int64]] = []
        self._num_parts = 0
        self._below: NDArray[np.int32] | None = None
        self._is_hu = self._has_lungs = True

    def add(
        self,
        index: int,
        lesion: NDArray[np.bool_],
        hu: NDArray[np.float32] | None,
        lung: NDArray[np.uint8] | None,
    ) -> None:
        """Takes the next slice.

        Args:
            index: Its number; numbers rise by 1.
            lesion: (H, W).
            hu: (H, W) HU; None where the scan has no such scale, or the slice no lesion.
            lung: (H, W) of sides.LEFT and RIGHT; None where lungs are not known.
        """
        if not lesion.any():
            self._below = None
            return
        self._is_hu, self._has_lungs = hu is not None, lung is not None
        num_labels, labels = cv2.connectedComponents(lesion.astype(np.uint8), connectivity=8)
        rows, columns = np.nonzero(lesion)
        own = labels[rows, columns] - 1
        sums = np.zeros((num_labels - 1, 7))
        weights = {_VOXELS: None, _ROW: rows, _COLUMN: columns}
        if hu is not None:
            weights[_HU] = hu[rows, columns]
        if lung is not None:
            weights |= {_RIGHT: lung[rows, columns] == RIGHT, _LEFT: lung[rows, columns] == LEFT}
        for key, weight in weights.items():
            sums[:, key] = np.bincount(own, weight)
        sums[:, _SLICE] = index * sums[:, _VOXELS]
        labels[rows, columns] += self._num_parts
        if self._below is not None:
            self._pairs.append(_touching(self._below, labels))
        self._parts.append(sums)
        self._slices.append(np.full(num_labels - 1, index))
        self._num_parts += num_labels - 1
        self._below = labels

    def lesions(self, voxel_ml: float) -> list[Lesion]:
        """All lesions, the largest first.

        Args:
            voxel_ml: Volume of a voxel, mL.
        """
        if not self._num_parts:
            return []
        size = (self._num_parts, self._num_parts)
        pairs = np.concatenate([np.empty((0, 2), np.int64), *self._pairs])
        graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=size)
        num_lesions, owner = connected_components(graph, directed=False)
        sums = np.zeros((num_lesions, 7))
        np.add.at(sums, owner, np.concatenate(self._parts))
        slices = np.concatenate(self._slices)
        first, last = np.full(num_lesions, slices.max()), np.zeros(num_lesions, np.int64)
        np.minimum.at(first, owner, slices)
        np.maximum.at(last, owner, slices)
        order = np.argsort(-sums[:, _VOXELS], kind="stable")
        return [self._lesion(sums[i], int(first[i]), int(last[i]), voxel_ml) for i in order]

    def _lesion(self, sums: NDArray[np.float64], first: int, last: int, voxel_ml: float) -> Lesion:
        voxels = sums[_VOXELS]
        inside = {RIGHT: sums[_RIGHT], LEFT: sums[_LEFT]}
        side = SIDES[max(inside, key=inside.__getitem__)] if any(inside.values()) else "outside"
        centre = tuple(float(total) for total in sums[[_SLICE, _ROW, _COLUMN]] / voxels)
        return Lesion(
            volume_ml=float(voxels * voxel_ml),
            mean_hu=float(sums[_HU] / voxels) if self._is_hu else None,
            first_slice=first,
            last_slice=last,
            centre=centre,
            side=side if self._has_lungs else None,
        )


def percentiles(lesions: Sequence[Lesion]) -> dict[str, float]:
    """Sizes of lesions, mL: smallest, quartiles and largest; empty without a lesion."""
    if not lesions:
        return {}
    shares = {"min": 0, "p25": 25, "median": 50, "p75": 75, "max": 100}
    sizes = [lesion.volume_ml for lesion in lesions]
    return {name: float(np.percentile(sizes, share)) for name, share in shares.items()}


def _touching(below: NDArray[np.int32], above: NDArray[np.int32]) -> NDArray[np.int64]:
    """Pairs of parts of two neighbouring slices that share a corner, counted from 0, (n, 2)."""
    rows, columns = np.nonzero(above)
    upper, base = above[rows, columns].astype(np.int64), int(above.max()) + 1
    framed = np.pad(below, 1)
    codes = []
    for down, right in product(range(3), repeat=2):
        lower = framed[rows + down, columns + right]
        code = (lower * base + upper)[lower > 0]
        # Neighbours along a row mostly repeat; what is left is quick to sort.
        codes.append(code[np.flatnonzero(np.diff(code, prepend=-1))])
    return np.stack(np.divmod(np.unique(np.concatenate(codes)), base), 1) - 1
