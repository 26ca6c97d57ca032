"""Trachea and main bronchi of a drawn chest in HU."""

import numpy as np

from severity.lungs.airways import find_airways
from severity.lungs.grid import Grid
from tests.severity.chest import SOFT_HU, SPACING, coordinates, ellipsoid, make_chest


def find(hu: np.ndarray) -> np.ndarray:
    _, back, left = coordinates()
    body = np.broadcast_to((back / 105) ** 2 + (left / 165) ** 2 <= 1, hu.shape)
    return find_airways(hu, body, Grid.of(hu.shape, SPACING))


def test_trachea_and_main_bronchi_are_followed_from_the_top() -> None:
    chest = make_chest()
    airways = find(chest.hu)
    assert np.mean(airways[chest.trachea]) > 0.9
    assert np.mean((chest.lung > 0)[airways]) < 0.05


def test_a_bronchus_that_opens_into_lung_does_not_leak() -> None:
    chest = make_chest()
    chest.hu[chest.lung > 0] = -930  # emphysema: as empty as an airway
    for sign in (-1, 1):
        opening = ellipsoid((-20, -10, sign * 32), (8, 6, 25))
        chest.hu[opening] = -1000
    airways = find(chest.hu)
    assert np.mean(airways[chest.trachea]) > 0.8
    assert np.mean(airways[chest.lung > 0]) < 0.02


def test_without_a_trachea_there_are_no_airways() -> None:
    chest = make_chest()
    chest.hu[chest.trachea] = SOFT_HU
    assert not find(chest.hu).any()


def test_a_short_spot_of_air_is_no_trachea() -> None:
    chest = make_chest()
    chest.hu[chest.trachea] = SOFT_HU
    chest.hu[ellipsoid((60, -10, 0), (8, 9, 9))] = -1000
    assert not find(chest.hu).any()
