"""HD95, average surface distance and surface Dice: hand-worked, degenerate and random cases."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from metrics.surface import (
    SurfaceDistances,
    average_surface_distance,
    hd95,
    surface_dice,
    surface_distances,
    surface_scores,
)

POLICIES = ["one", "zero", "nan"]
SPACINGS = [(1.0, 1.0), (0.7, 1.9)]
EMPTY = np.zeros((6, 8), dtype=bool)
DIAGONAL = 10.0  # of 6 x 8 px


def square(top: int, left: int, side: int, shape: tuple[int, int] = (6, 8)) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def scores(pred, target, spacing=(1, 1), tolerance=1.0, empty_target="nan") -> list[float]:
    result = surface_scores(
        pred, target, spacing=spacing, tolerance=tolerance, empty_target=empty_target
    )
    assert list(result) == ["hd95", "average_surface_distance", "surface_dice"]
    assert all(type(value) is float for value in result.values())
    return list(result.values())


def brute_force(pred, target, spacing, tolerance) -> list[float]:
    """The three metrics from the distances of all pairs of surface px, found one px at a time."""

    def surface(mask):
        set_px = set(zip(*(index.tolist() for index in np.nonzero(mask)), strict=True))
        near = [(-1, 0), (1, 0), (0, -1), (0, 1)]
        edge = [(r, c) for r, c in set_px if any((r + i, c + j) not in set_px for i, j in near)]
        return np.array(edge) * spacing

    difference = surface(pred)[:, None] - surface(target)[None]
    pairs = np.sqrt((difference**2).sum(axis=-1))
    directions = [sorted(pairs.min(axis=axis)) for axis in (0, 1)]
    percentiles = []
    for values in directions:
        low, fraction = divmod(0.95 * (len(values) - 1), 1)
        first, second = [*values, values[-1]][int(low) : int(low) + 2]
        percentiles.append(first + fraction * (second - first))
    both = [*directions[0], *directions[1]]
    within = sum(value <= tolerance for value in both)
    return [max(percentiles), sum(both) / len(both), within / len(both)]


def random_pairs(shape: tuple[int, int], count: int = 12):
    """Noise, whose surface is nearly all of it, and blobs, which have an inside."""
    rng = np.random.default_rng(1)
    for index in range(count):
        pred, target = rng.random(shape) < 0.3, rng.random(shape) < 0.1
        if index % 2:
            block = tuple(slice(*sorted(rng.integers(0, n + 1, 2))) for n in shape)
            pred[block] = target[block] = True
        if pred.any() and target.any():
            yield pred, target


def test_scores_of_a_square_shifted_by_one_column() -> None:
    # A 3 x 3 square has 8 surface px: all but its centre. The prediction's columns 2, 3, 4 against
    # the target's 1, 2, 3: four px on the target's surface (columns 2 and 3, rows 1 and 3) at 0,
    # one on the target's centre at 1, three in column 4 at 1. The same back: HD95 1, mean 8 / 16.
    pred, target = square(1, 2, 3), square(1, 1, 3)
    distances = surface_distances(pred, target, (1, 1))
    assert sorted(distances.pred_to_target) == sorted(distances.target_to_pred) == [0] * 4 + [1] * 4
    assert scores(pred, target, tolerance=0.5) == [1.0, 0.5, 0.5]
    assert scores(pred, target, tolerance=1.0) == [1.0, 0.5, 1.0]


def test_a_point_against_a_point_is_their_distance_in_mm() -> None:
    # 2 rows of 2 mm and 3 columns of 1 mm apart: sqrt(4^2 + 3^2) = 5 mm; in px sqrt(2^2 + 3^2).
    pred, target = square(1, 2, 1), square(3, 5, 1)
    assert scores(pred, target, (2, 1), tolerance=4.9) == pytest.approx([5, 5, 0])
    assert scores(pred, target, (2, 1), tolerance=5.0) == pytest.approx([5, 5, 1])
    assert scores(pred, target, (1, 1), tolerance=5.0) == pytest.approx([13**0.5, 13**0.5, 1])


def test_the_inner_outline_of_a_ring_is_a_surface() -> None:
    # A 5 x 5 square with its centre px cut out. Outer surface: 16 px; the cut makes the centre's 4
    # neighbours surface as well: 20. The filled square has the 16 alone, each at distance 0; the 4
    # are one row or column inside of it: 4 x 1 / (20 + 16). Sorted, the 20 distances of the ring
    # are 16 x 0, 4 x 1; rank 0.95 * 19 = 18.05 lies among the ones.
    filled = square(0, 1, 5)
    ring = filled.copy()
    ring[2, 3] = False
    assert surface_distances(ring, filled, (1, 1)).pred_to_target.size == 20
    assert scores(ring, filled, tolerance=0.0) == pytest.approx([1.0, 4 / 36, 32 / 36])


def test_hd95_is_the_larger_direction_with_linear_interpolation() -> None:
    # 0, 1, ..., 10: rank 0.95 * 10 = 9.5, between 9 and 10. Pooled with the zeros it would be less.
    for directions in [(np.arange(11.0), np.zeros(400)), (np.zeros(400), np.arange(11.0))]:
        distances = SurfaceDistances(*directions, worst=50.0)
        assert hd95(distances, empty_target="nan") == pytest.approx(9.5)


def test_hd95_ignores_a_stray_px_that_the_average_sees() -> None:
    # A 12 x 12 square has 44 surface px; one stray px in the prediction is 1 of 45 < 5 %. It lies
    # 39 - 13 = 26 rows below the square's last one.
    target = square(2, 2, 12, (40, 40))
    pred = target | square(39, 13, 1, (40, 40))
    assert scores(pred, target) == pytest.approx([0, 26 / 89, 88 / 89])


def test_the_average_weighs_pixels_not_directions() -> None:
    # One px of the prediction at 3, three of the target at 1: (3 + 3 * 1) / 4, not (3 + 1) / 2.
    distances = SurfaceDistances(np.array([3.0]), np.ones(3), worst=50.0)
    assert average_surface_distance(distances, empty_target="nan") == pytest.approx(1.5)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("shape", [(3, 4), (9, 14), (1, 12), (17, 5)])
def test_agrees_with_all_pairs_of_surface_pixels(shape, spacing) -> None:
    for pred, target in random_pairs(shape):
        expected = brute_force(pred, target, spacing, 1.0)
        assert scores(pred, target, spacing, 1.0) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_cropping_to_the_masks_changes_nothing(spacing) -> None:
    # A px in each of two opposite corners widens the box to the image, so nothing is cropped; both
    # masks have them, so they add a distance of 0 each and lie too far away to be anyone's nearest.
    rng = np.random.default_rng(2)
    for _ in range(10):
        pred, target = np.zeros((2, 60, 72), dtype=bool)
        pred[28:34, 30:40], target[28:34, 30:40] = rng.random((2, 6, 10)) < 0.6
        cropped = surface_distances(pred, target, spacing)
        pred[0, 0] = pred[-1, -1] = target[0, 0] = target[-1, -1] = True
        whole = surface_distances(pred, target, spacing)
        for few, more in zip(cropped[:2], whole[:2], strict=True):
            np.testing.assert_allclose(np.sort([0, 0, *few]), np.sort(more), rtol=0, atol=1e-12)


def test_the_border_of_the_image_is_a_surface() -> None:
    # A full 6 x 8 image has 2 * 8 + 2 * 4 = 24 border px; the one farthest from the first px lies
    # 5 rows and 7 columns away.
    distances = surface_distances(~EMPTY, square(0, 0, 1), (1, 1)).pred_to_target
    assert (distances.size, distances.max()) == (24, pytest.approx(74**0.5))


@pytest.mark.parametrize("spacing", SPACINGS)
def test_swapping_prediction_and_target_changes_nothing(spacing) -> None:
    for pred, target in random_pairs((9, 14)):
        back = scores(target, pred, spacing)
        assert scores(pred, target, spacing) == pytest.approx(back, abs=1e-12)


def test_doubling_the_spacing_doubles_the_distances() -> None:
    for pred, target in random_pairs((9, 14)):
        *single, share = scores(pred, target, (0.7, 1.9), tolerance=1.5)
        *double, same_share = scores(pred, target, (1.4, 3.8), tolerance=3.0)
        assert double == pytest.approx([2 * value for value in single])
        assert same_share == share


def test_surface_dice_grows_with_the_tolerance_up_to_one() -> None:
    for pred, target in random_pairs((9, 14)):
        distances = surface_distances(pred, target, (0.7, 1.9))
        tolerances = np.linspace(0, distances.worst, 40)
        shares = [surface_dice(distances, tolerance=t, empty_target="nan") for t in tolerances]
        assert shares == sorted(shares)
        assert shares[0] < shares[-1] == 1.0


def test_a_distance_equal_to_the_tolerance_is_within_it_despite_rounding() -> None:
    masks = square(1, 2, 1), square(4, 2, 1)  # 3 rows of 0.1 mm: 0.30000000000000004 mm
    assert scores(*masks, (0.1, 0.1), tolerance=0.3)[2] == 1.0
    assert scores(*masks, (0.1, 0.1), tolerance=0.2999)[2] == 0.0


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mask", [square(1, 1, 3), square(2, 5, 1), ~EMPTY, np.ones((1, 1), bool)])
def test_a_perfect_prediction_is_at_distance_zero(mask, policy) -> None:
    assert scores(mask, mask, tolerance=0.0, empty_target=policy) == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("one", [0, 0, 1]), ("zero", [DIAGONAL, DIAGONAL, 0]), ("nan", [math.nan] * 3)],
)
def test_two_empty_masks_follow_the_policy(policy, expected) -> None:
    assert scores(EMPTY, EMPTY, empty_target=policy) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mask", [square(2, 2, 1), square(1, 1, 4), ~EMPTY])
@pytest.mark.parametrize("tolerance", [0.0, 1.0, 1000.0])
def test_one_empty_mask_scores_the_worst_under_every_policy(mask, policy, tolerance) -> None:
    for pred, target in ((mask, EMPTY), (EMPTY, mask)):
        result = scores(pred, target, tolerance=tolerance, empty_target=policy)
        assert result == pytest.approx([DIAGONAL, DIAGONAL, 0])


def test_the_worst_distance_has_the_unit_of_the_spacing_and_exceeds_every_other() -> None:
    # 6 rows of 2 mm, 8 columns of 0.625 mm: sqrt(12^2 + 5^2) = 13 mm.
    assert scores(square(1, 1, 2), EMPTY, (2, 0.625))[0] == pytest.approx(13)
    corners = surface_distances(square(0, 0, 1), square(5, 7, 1), (2, 0.625))
    assert corners.pred_to_target[0] < corners.worst == pytest.approx(13)
    # Even in an image of a single px, a missed lesion costs more than a found one.
    assert scores(np.zeros((1, 1), bool), np.ones((1, 1), bool))[0] == pytest.approx(2**0.5)


@pytest.mark.parametrize("metric", [hd95, average_surface_distance])
def test_the_policy_is_required_and_checked(metric) -> None:
    distances = surface_distances(square(1, 1, 3), square(1, 2, 3), (1, 1))
    with pytest.raises(TypeError):
        metric(distances)
    with pytest.raises(ValueError, match=r"empty_target.*'nans'"):
        metric(distances, empty_target="nans")
    with pytest.raises(ValueError, match=r"empty_target.*'nans'"):
        surface_dice(distances, tolerance=1.0, empty_target="nans")


@pytest.mark.parametrize("spacing", [(0, 1), (1, -1), (1, math.nan), (math.inf, 1), (1, 1, 1)])
def test_refuses_a_spacing_that_is_not_two_positive_numbers(spacing) -> None:
    with pytest.raises(ValueError, match="spacing must be two positive numbers"):
        surface_distances(EMPTY, EMPTY, spacing)


@pytest.mark.parametrize("tolerance", [-1.0, math.nan, math.inf])
def test_refuses_a_tolerance_that_declares_nothing(tolerance) -> None:
    with pytest.raises(ValueError, match="tolerance must be at least 0 and finite"):
        scores(EMPTY, EMPTY, tolerance=tolerance)


@pytest.mark.parametrize(
    ("pred", "target", "message"),
    [
        (EMPTY.astype(np.uint8), EMPTY, "pred must be bool"),
        (EMPTY, EMPTY * 1.0, "target must be bool"),
        (EMPTY[:3], EMPTY, r"pred is \(3, 8\), target is \(6, 8\)"),
    ],
)
def test_refuses_what_it_would_have_to_guess(pred, target, message) -> None:
    with pytest.raises(ValueError, match=message):
        surface_distances(pred, target, (1, 1))
