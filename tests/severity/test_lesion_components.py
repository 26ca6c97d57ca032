"""Components of a mask, found slice by slice."""

import numpy as np
import pytest
from scipy import ndimage

from severity.lesions import LesionTally, percentiles
from severity.lungs.sides import LEFT, RIGHT


def find(mask: np.ndarray, hu: np.ndarray | None = None, lung: np.ndarray | None = None) -> list:
    tally = LesionTally()
    for index, plane in enumerate(mask):
        own_hu = None if hu is None else hu[index]
        own_lung = None if lung is None else lung[index]
        tally.add(index, plane, own_hu, own_lung)
    return tally.lesions(voxel_ml=1.0)


@pytest.mark.parametrize("density", [0.01, 0.05, 0.2, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_components_are_those_of_scipy_with_26_neighbours(density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((9, 17, 14)) < density
    mask[rng.integers(9)] = False
    hu = rng.normal(-500, 100, mask.shape).astype(np.float32)
    labels, num_lesions = ndimage.label(mask, np.ones((3, 3, 3)))
    expected = []
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        own = labels == label
        centre = tuple(np.round(ndimage.center_of_mass(own), 6))
        mean_hu = round(float(hu[own].mean(dtype=float)), 6)
        expected.append((own.sum(), box[0].start, box[0].stop - 1, centre, mean_hu))
    found = [
        (
            lesion.volume_ml,
            lesion.first_slice,
            lesion.last_slice,
            tuple(np.round(lesion.centre, 6)),
            round(lesion.mean_hu, 6),
        )
        for lesion in find(mask, hu)
    ]
    assert len(found) == num_lesions
    assert sorted(found) == sorted(expected)


def test_lesions_come_largest_first() -> None:
    mask = np.random.default_rng(1).random((6, 30, 30)) < 0.1
    volumes = [lesion.volume_ml for lesion in find(mask)]
    assert len(volumes) > 5
    assert volumes == sorted(volumes, reverse=True)


@pytest.mark.parametrize(
    ("voxels", "num_lesions"),
    [
        ([(0, 0, 0), (1, 1, 1)], 1),  # a corner
        ([(0, 0, 0), (0, 1, 1)], 1),  # an edge
        ([(0, 0, 0), (2, 0, 0)], 2),  # an empty slice between
        ([(0, 0, 0), (1, 0, 2)], 2),  # a column between
        ([(0, 0, 0), (0, 0, 4), (1, 0, 1), (1, 0, 3), (2, 0, 2)], 1),  # joined only from above
    ],
)
def test_what_touches_by_a_corner_is_one_lesion(voxels: list, num_lesions: int) -> None:
    mask = np.zeros((3, 5, 5), bool)
    mask[tuple(np.transpose(voxels))] = True
    assert len(find(mask)) == num_lesions


def test_an_empty_mask_has_no_lesion_and_no_sizes() -> None:
    lesions = find(np.zeros((3, 5, 5), bool))
    assert lesions == []
    assert percentiles(lesions) == {}


def test_a_lesion_lies_in_the_lung_that_holds_most_of_it() -> None:
    mask = np.zeros((1, 6, 8), bool)
    lung = np.zeros((1, 6, 8), np.uint8)
    lung[:, :, :4], lung[:, :, 5:] = RIGHT, LEFT
    mask[0, 0, 2:8] = True  # 2 right, 1 between, 3 left
    mask[0, 2, 0:2] = True
    mask[0, 5, 4] = True
    assert [lesion.side for lesion in find(mask, lung=lung)] == ["left", "right", "outside"]
    assert {lesion.side for lesion in find(mask)} == {None}


def test_percentiles_are_those_of_the_sizes() -> None:
    mask = np.zeros((1, 9, 9), bool)
    for row, length in enumerate((1, 2, 3, 4, 5)):
        mask[0, 2 * row, :length] = True
    expected = {"min": 1.0, "p25": 2.0, "median": 3.0, "p75": 4.0, "max": 5.0}
    assert percentiles(find(mask)) == expected
