"""Boundary metrics of a binary prediction: HD95, average surface distance, surface Dice.

Dice hardly sees where a large lesion's outline is wrong; these see nothing else. The surface of a
mask is its boundary pixels: those with at least one of their four neighbours outside the mask,
where everything beyond the image's border is outside. Distances run between the centres of pixels,
within one slice, in the unit of `spacing`: mm, or px for a spacing of (1, 1). In a volume voxels
have six neighbours, and distances run in space.

| target | prediction | HD95, average surface distance | surface Dice |
|---|---|---|---|
| empty | empty, "one" | 0 | 1 |
| empty | empty, "zero" | the image's diagonal | 0 |
| empty | empty, "nan" | NaN | NaN |
| empty | not empty | the image's diagonal: a false alarm | 0 |
| not empty | empty | the image's diagonal: a missed lesion | 0 |

The diagonal exceeds every distance within the image. NaN or infinity, as common tools return for
one empty mask, would let a missed lesion improve the mean or drown it.

Implementations differ by more than 100 mm in the Hausdorff distance of the same masks (Podobnik and
Vrtovec, arXiv 2410.02630), so a number needs the name of its tool. MONAI takes the same surface and
percentiles, MedPy one percentile of both directions together, and DeepMind's surface-distance the
contour between pixels, weighted by its length.

Source: S. Nikolov et al., "Clinically applicable segmentation of head and neck anatomy for
radiotherapy: deep learning algorithm development and validation study", Journal of Medical Internet
Research 23 (2021) e26151, arXiv 1809.04430, for the surface Dice.
Deviation: each boundary pixel weighs the same, whatever length of contour it stands for.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt
from scipy.spatial import KDTree

from metrics.checks import check_mask, check_same_shape
from metrics.overlap import EmptyTarget, empty_score

# 3 steps of 0.1 mm are 0.30000000000000004 mm and still within a tolerance of 0.3 mm.
_ROUNDING = 1e-9


class SurfaceDistances(NamedTuple):
    """Distances between the surfaces of one case, in the unit of the spacing.

    Attributes:
        pred_to_target: (N,) float64, from each surface px of the prediction to the nearest one of
            the target; `worst` for all of them if the target is empty.
        target_to_pred: (M,) float64, the same from the target to the prediction.
        worst: The image's diagonal.
    """

    pred_to_target: NDArray[np.float64]
    target_to_pred: NDArray[np.float64]
    worst: float


def surface_distances(
    pred: NDArray[np.bool_], target: NDArray[np.bool_], spacing: tuple[float, ...]
) -> SurfaceDistances:
    """Measures from each surface to the other; the three metrics share the result.

    Args:
        pred: (H, W) bool, or (D, H, W).
        target: The same, True on the lesion.
        spacing: Distances between rows and between columns, in mm; (1, 1) for px. Of a volume that
            between slices comes first.

    Raises:
        ValueError: Another dtype, shapes that differ, or a spacing that is not a positive number
            per axis.
    """
    check_mask("pred", pred, may_be_volume=True)
    check_mask("target", target, may_be_volume=True)
    check_same_shape("pred", pred, target)
    if len(spacing) != target.ndim or not all(0 < step < math.inf for step in spacing):
        numbers = "two positive numbers (row, column)" if target.ndim == 2 else "three of them"
        raise ValueError(f"spacing must be {numbers}, got {spacing}")
    worst = math.hypot(*(n * step for n, step in zip(target.shape, spacing, strict=True)))
    box = bounding_box(pred | target)
    pred_surface, target_surface = _surface(pred[box]), _surface(target[box])
    return SurfaceDistances(
        _distances(pred_surface, target_surface, spacing, worst),
        _distances(target_surface, pred_surface, spacing, worst),
        worst,
    )


def hd95(distances: SurfaceDistances, *, empty_target: EmptyTarget) -> float:
    """95 % Hausdorff distance: the larger of the two directions' 95th percentiles.

    The percentile interpolates linearly between the two nearest ranks, as numpy does by default.

    Args:
        distances: Of one case.
        empty_target: What two empty masks score, as in the table at the head of this file.

    Returns:
        In the unit of the spacing, at least 0; 0 is perfect, up to the 5 % that are left out.

    Raises:
        ValueError: Unknown policy.
    """
    of_nothing = _distance_of_nothing(distances, empty_target)
    directions = (distances.pred_to_target, distances.target_to_pred)
    return max((float(np.percentile(d, 95)) for d in directions if d.size), default=of_nothing)


def average_surface_distance(distances: SurfaceDistances, *, empty_target: EmptyTarget) -> float:
    """Average symmetric surface distance: the mean over the px of both surfaces together.

    Args:
        distances: Of one case.
        empty_target: What two empty masks score, as in the table at the head of this file.

    Returns:
        In the unit of the spacing, at least 0; 0 is perfect.

    Raises:
        ValueError: Unknown policy.
    """
    of_nothing = _distance_of_nothing(distances, empty_target)
    pooled = np.concatenate((distances.pred_to_target, distances.target_to_pred))
    return float(pooled.mean()) if pooled.size else of_nothing


def surface_dice(
    distances: SurfaceDistances, *, tolerance: float, empty_target: EmptyTarget
) -> float:
    """Surface Dice: the share of both surfaces' px that lie within the tolerance of the other.

    Args:
        distances: Of one case.
        tolerance: Largest distance that counts as agreement, in the unit of the spacing.
        empty_target: What two empty masks score, as in the table at the head of this file.

    Returns:
        In [0, 1], or NaN under the policy "nan"; 1 is perfect at this tolerance.

    Raises:
        ValueError: Unknown policy, or a tolerance that is negative or not finite.
    """
    of_nothing = empty_score(empty_target)
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance must be at least 0 and finite, got {tolerance}")
    pooled = np.concatenate((distances.pred_to_target, distances.target_to_pred))
    if not pooled.size:
        return of_nothing
    if not (distances.pred_to_target.size and distances.target_to_pred.size):
        return 0.0  # also where the tolerance exceeds the diagonal
    return float(np.mean(pooled <= tolerance * (1 + _ROUNDING)))


def surface_scores(
    pred: NDArray[np.bool_],
    target: NDArray[np.bool_],
    *,
    spacing: tuple[float, ...],
    tolerance: float,
    empty_target: EmptyTarget,
) -> dict[str, float]:
    """The three boundary metrics of one case.

    Args:
        pred: As surface_distances.
        target: The same.
        spacing: The same.
        tolerance: Of the surface Dice, in the unit of the spacing.
        empty_target: What two empty masks score, as in the table at the head of this file.

    Returns:
        hd95, average_surface_distance, surface_dice.

    Raises:
        ValueError: Whatever surface_distances and surface_dice refuse.
    """
    distances = surface_distances(pred, target, spacing)
    return {
        "hd95": hd95(distances, empty_target=empty_target),
        "average_surface_distance": average_surface_distance(distances, empty_target=empty_target),
        "surface_dice": surface_dice(distances, tolerance=tolerance, empty_target=empty_target),
    }


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The smallest box around the mask; empty for an empty one.

    Outside it no px is set, so neither a surface nor a distance depends on what was cropped.
    """
    if not mask.any():
        return (slice(0, 0),) * mask.ndim
    axes = range(mask.ndim)
    places = (np.flatnonzero(mask.any(axis=tuple({*axes} - {axis}))) for axis in axes)
    return tuple(slice(own[0], own[-1] + 1) for own in places)


def _surface(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The px of a mask with a neighbour by a side outside of it, as all is beyond the array."""
    return mask & ~binary_erosion(mask)


def _distances(
    start: NDArray[np.bool_], end: NDArray[np.bool_], spacing: tuple[float, ...], worst: float
) -> NDArray[np.float64]:
    """Distance from each px of one surface to the nearest of the other; `worst` if it has none."""
    if not (start.any() and end.any()):
        return np.full(np.count_nonzero(start), worst)
    if start.ndim > 2:  # a transform of the whole box would take 20 bytes a voxel
        return KDTree(np.argwhere(end) * spacing).query(np.argwhere(start) * spacing)[0]
    return distance_transform_edt(~end, sampling=spacing)[start]


def _distance_of_nothing(distances: SurfaceDistances, empty_target: EmptyTarget) -> float:
    """A distance for two empty masks: 0 for a score of 1, the diagonal for 0, NaN for NaN."""
    return (1 - empty_score(empty_target)) * distances.worst
