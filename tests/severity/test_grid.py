"""The coarse copy of a scan."""

import cv2
import numpy as np
import pytest

from severity.lungs.grid import Grid, coarse_hu, coarse_mask
from tests.severity.chest import as_volume


@pytest.mark.parametrize(
    ("shape", "spacing", "num_blocks"),
    [
        ((300, 512, 512), (1.0, 0.7, 0.7), (150, 256, 256)),
        ((600, 512, 512), (0.5, 0.7, 0.7), (150, 256, 256)),
        ((45, 630, 630), (5.0, 0.6, 0.6), (45, 210, 210)),
        ((1, 512, 400), (8.0, 0.7, 0.7), (1, 256, 200)),
        ((60, 256, 256), (2.0, 1.4, 1.4), (60, 256, 256)),
        ((7, 300, 257), (1.25, 1.0, 1.0), (4, 150, 129)),
        ((5000, 1024, 1024), (2.5, 0.4, 0.4), (200, 256, 256)),
    ],
)
def test_blocks_are_few_and_cover_the_scan(shape: tuple, spacing: tuple, num_blocks: tuple) -> None:
    grid = Grid.of(shape, spacing)
    assert grid.num_blocks == num_blocks
    sides = (grid.step, grid.factor, grid.factor)
    assert all(n * side >= size for n, side, size in zip(num_blocks, sides, shape, strict=True))
    assert grid.spacing == pytest.approx(np.multiply(spacing, sides))


def test_hu_are_means_of_blocks_without_padding_values() -> None:
    axial = np.zeros((3, 300, 300), np.int16)
    axial[0], axial[1], axial[2] = 100, 300, -3024
    grid = Grid.of(axial.shape, (1.0, 1.0, 1.0))
    hu = coarse_hu(as_volume(axial, (1.0, 1.0, 1.0)), grid)
    assert hu.shape == (2, 150, 150)
    assert (hu[0] == 200).all()
    assert (hu[1] == -1024).all()


def test_a_block_with_a_single_voxel_of_a_mask_is_found() -> None:
    mask = np.zeros((4, 301, 300), np.uint8)
    mask[3, 300, 7] = 2
    found = coarse_mask(mask, Grid.of(mask.shape, (1.0, 1.0, 1.0)))
    assert np.argwhere(found).tolist() == [[1, 150, 3]]


def test_a_slice_of_blocks_returns_to_its_place() -> None:
    grid = Grid.of((1, 301, 299), (5.0, 1.0, 1.0))
    plane = np.kron(np.eye(151, 150), np.ones((2, 2)))[:301, :299]
    fine = grid.fine(grid.coarse(plane), cv2.INTER_NEAREST)
    assert np.array_equal(fine, plane)
