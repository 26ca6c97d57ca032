"""Surfaces and lesions of volumes."""

import numpy as np
import pytest

from metrics import count_lesions, surface_distances
from metrics.surface import surface_scores


def all_pairs(start: np.ndarray, end: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Distance from every surface voxel to the nearest of another surface, the slow way."""
    points = []
    for mask in (start, end):
        framed = np.pad(mask, 1)
        inner = np.ones(mask.shape, bool)
        for axis in range(3):
            for step in (-1, 1):
                inner &= np.roll(framed, step, axis)[1:-1, 1:-1, 1:-1]
        points.append(np.argwhere(mask & ~inner) * spacing)
    gaps = points[0][:, None] - points[1][None]
    return np.sqrt((gaps**2).sum(-1)).min(1)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (5.0, 0.7, 0.8)])
def test_agrees_with_all_pairs_of_surface_voxels(spacing: tuple[float, ...]) -> None:
    rng = np.random.default_rng(0)
    pred, target = (rng.random((5, 12, 9)) < share for share in (0.7, 0.1))
    found = surface_distances(pred, target, spacing)
    np.testing.assert_allclose(found.pred_to_target, all_pairs(pred, target, spacing))
    np.testing.assert_allclose(found.target_to_pred, all_pairs(target, pred, spacing))
    assert found.worst == pytest.approx(np.linalg.norm(np.multiply((5, 12, 9), spacing)))


def test_a_block_that_lies_a_slice_too_high_is_off_by_the_distance_of_slices() -> None:
    target = np.zeros((9, 20, 20), bool)
    target[2:5, 5:15, 5:15] = True
    rules = {"spacing": (5.0, 0.7, 0.7), "tolerance": 3.0, "empty_target": "one"}
    scores = surface_scores(np.roll(target, 1, 0), target, **rules)
    assert scores["hd95"] == pytest.approx(5)
    # Of 100 + 36 + 100 surface voxels the cap that has no slice beside it is 5 mm off.
    assert scores["surface_dice"] == pytest.approx(136 / 236)
    assert surface_scores(target, target, **rules)["surface_dice"] == 1


@pytest.mark.parametrize(("policy", "share"), [("one", 0), ("zero", 1)])
def test_two_empty_volumes_follow_the_policy(policy: str, share: float) -> None:
    empty = np.zeros((3, 4, 5), bool)
    scores = surface_scores(empty, empty, spacing=(2, 1, 1), tolerance=1, empty_target=policy)
    assert scores["hd95"] == pytest.approx(share * np.linalg.norm((6, 4, 5)))


def test_a_lesion_through_slices_counts_once_and_corners_touch() -> None:
    target = np.zeros((6, 8, 8), bool)
    target[1:4, 2:4, 2:4] = True
    target[4, 4, 4] = True  # by a corner
    target[0, 7, 7] = True
    pred = np.zeros_like(target)
    pred[4, 4, 4] = pred[5, 0, 0] = True
    assert count_lesions(pred, target) == (2, 1, 2, 1)


def test_a_spacing_needs_a_number_per_axis() -> None:
    mask = np.ones((2, 3, 4), bool)
    with pytest.raises(ValueError, match="three of them"):
        surface_distances(mask, mask, (1.0, 1.0))
