"""The line between the lungs."""

import itertools

import numpy as np
import pytest

from severity.lungs.sides import (
    LEFT,
    RIGHT,
    _cheapest_path,
    middle_column,
    right_of_patient,
    without_sliver,
)


@pytest.mark.parametrize("seed", range(5))
def test_the_path_is_the_cheapest_of_all(seed: int) -> None:
    cost = np.random.default_rng(seed).random((2, 6, 4)).astype(np.float32)
    paths = _cheapest_path(cost)
    assert np.abs(np.diff(paths, axis=1)).max() <= 1
    walks = [
        np.cumsum([start, *steps])
        for start in range(4)
        for steps in itertools.product((-1, 0, 1), repeat=5)
    ]
    walks = [walk for walk in walks if walk.min() >= 0 and walk.max() < 4]
    for plane, path in zip(cost, paths, strict=True):
        least = min(plane[np.arange(6), walk].sum() for walk in walks)
        assert plane[np.arange(6), path].sum() == pytest.approx(least)


def test_the_line_follows_a_slanted_junction_through_merged_lungs() -> None:
    hu = np.full((1, 30, 60), -850, np.int16)
    junction = 26 + np.arange(30) // 4  # a thin fold, dimmed by partial volume
    hu[0, np.arange(30), junction] = -500
    right = right_of_patient(np.ones(hu.shape, bool), hu, middle=30)
    assert (right[0].sum(1) == junction).all()


def test_the_line_keeps_to_the_tissue_between_lungs() -> None:
    lung = np.zeros((2, 20, 60), bool)
    lung[:, :, 4:31] = lung[:, :, 36:50] = True
    right = right_of_patient(lung, None, middle=28)
    assert (right & lung)[:, :, :31].sum() == 2 * 20 * 27
    assert not right[:, :, 36:].any()


def test_a_single_lung_gets_back_what_the_line_cut_off() -> None:
    labels = np.zeros((1, 10, 20), np.uint8)
    labels[:, :, :10], labels[:, 0, 10:12] = RIGHT, LEFT
    assert set(np.unique(without_sliver(labels))) == {0, RIGHT}


def test_the_middle_is_that_of_two_lungs_or_of_the_image() -> None:
    lung = np.zeros((1, 1, 100), bool)
    assert middle_column(lung) == 50
    lung[..., 20:40] = True
    assert middle_column(lung) == 50  # a single lung on one side
    lung[..., 60:90] = True
    assert middle_column(lung) == 55
