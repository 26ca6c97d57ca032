"""Lungs of a drawn chest in HU."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from severity.lungs.grid import Grid
from severity.lungs.sides import LEFT, RIGHT
from severity.lungs.threshold import CoarseLungs, lesions_of_lungs, segment_lungs
from tests.severity.chest import (
    AIR_HU,
    LUNG_HU,
    SHAPE,
    SOFT_HU,
    SPACING,
    coordinates,
    dice,
    ellipsoid,
    make_chest,
)

CORONACASES = os.environ.get("CORONACASES_DIR")


def segment(hu: np.ndarray) -> CoarseLungs | None:
    return segment_lungs(hu, Grid.of(hu.shape, SPACING))


def test_both_lungs_are_found_on_their_sides() -> None:
    chest = make_chest()
    labels = segment(chest.hu).labels
    for side in (RIGHT, LEFT):
        assert dice(labels == side, chest.lung == side) > 0.98


def test_trachea_couch_and_air_around_are_no_lung() -> None:
    chest = make_chest()
    labels = segment(chest.hu).labels
    assert not (labels > 0)[chest.trachea & (np.arange(len(chest.hu)) > 30)[:, None, None]].any()
    assert dice(labels > 0, chest.lung > 0) > 0.98


def test_merged_lungs_are_parted_in_the_middle() -> None:
    chest = make_chest(gap=-12)
    labels = segment(chest.hu).labels
    for side in (RIGHT, LEFT):
        assert dice(labels == side, chest.lung == side) > 0.97


@pytest.mark.parametrize("side", [RIGHT, LEFT])
@pytest.mark.parametrize("gap", [40, 4])
def test_a_single_lung_is_not_halved(side: int, gap: int) -> None:
    chest = make_chest(sides=(side,), gap=gap)
    labels = segment(chest.hu).labels
    assert set(np.unique(labels)) == {0, side}
    assert dice(labels == side, chest.lung == side) > 0.97


def test_without_lungs_there_are_none() -> None:
    assert segment(make_chest(sides=()).hu) is None
    assert segment(np.full((5, 40, 40), AIR_HU, np.int16)) is None
    assert segment(np.full((5, 40, 40), SOFT_HU, np.int16)) is None


def test_gas_in_the_gut_is_no_lung_though_it_touches_one() -> None:
    chest = make_chest()
    stomach = ellipsoid((-100, 0, 60), (30, 40, 40)) & (chest.lung == 0)
    wall = ellipsoid((-100, 0, 60), (36, 46, 46)) & (chest.lung == 0) & ~stomach
    chest.hu[wall], chest.hu[stomach] = SOFT_HU, AIR_HU
    leak = ellipsoid((-75, 0, 60), (14, 4, 4))
    chest.hu[leak & (chest.lung == 0)] = -700
    labels = segment(chest.hu).labels
    assert np.mean((labels > 0)[stomach & ~leak]) < 0.1
    assert dice(labels == LEFT, chest.lung == LEFT) > 0.95


def test_gas_alone_is_no_lung() -> None:
    hu = make_chest(sides=()).hu
    hu[ellipsoid((-100, 0, 60), (60, 50, 50))] = AIR_HU
    assert segment(hu) is None


def test_foam_within_a_couch_that_the_patient_lies_on_is_no_lung() -> None:
    chest = make_chest()
    _, back, left = coordinates()
    couch = np.broadcast_to((back >= 102) & (np.abs(left) < 120), chest.hu.shape)
    foam = np.broadcast_to((back >= 108) & (back < 120) & (np.abs(left) < 115), chest.hu.shape)
    chest.hu[couch], chest.hu[foam] = -100, -850
    labels = segment(chest.hu).labels
    assert not labels[foam].any()
    assert dice(labels > 0, chest.lung > 0) > 0.98


def test_consolidation_inside_and_at_the_pleura_belongs_to_the_lung() -> None:
    chest = make_chest()
    inside = ellipsoid((0, 0, -75), (30, 25, 20))
    pleural = ellipsoid((0, 60, 75), (40, 30, 30)) & (chest.lung > 0)
    chest.hu[inside | pleural] = SOFT_HU
    without = segment(chest.hu)
    assert (without.labels == RIGHT)[inside].all()
    found = segment(chest.hu)
    lungs = np.where(found.labels > 0, found.labels, lesions_of_lungs(found, pleural))
    assert (lungs[pleural] == LEFT).all()
    for side in (RIGHT, LEFT):
        assert dice(lungs == side, chest.lung == side) > 0.97


def test_a_lesion_apart_from_the_lungs_belongs_to_none() -> None:
    chest = make_chest()
    apart = ellipsoid((0, 90, 0), (10, 8, 8))
    assert apart.any()
    assert not (chest.lung > 0)[apart].any()
    found = segment(chest.hu)
    assert not lesions_of_lungs(found, apart).any()
    assert not found.labels[apart].any()


def test_a_single_slice_and_a_part_of_a_scan_have_lungs() -> None:
    chest = make_chest()
    for slices in (slice(26, 27), slice(20, 32)):
        labels = segment(chest.hu[slices]).labels
        for side in (RIGHT, LEFT):
            assert dice(labels == side, chest.lung[slices] == side) > 0.97


def test_a_round_field_of_view_and_emphysema_do_not_hide_the_lungs() -> None:
    chest = make_chest()
    rows, columns = np.ogrid[: SHAPE[1], : SHAPE[2]]
    outside = (rows - 42) ** 2 + (columns - 62) ** 2 > 62**2
    chest.hu[:, outside] = -1024
    chest.hu[chest.hu < LUNG_HU + 100] -= 110
    labels = segment(np.clip(chest.hu, -1024, 1024)).labels
    assert dice(labels > 0, chest.lung > 0) > 0.96


@pytest.mark.skipif(not CORONACASES, reason="CORONACASES_DIR names no folder of its slices")
@pytest.mark.parametrize("patient", range(1, 11))
def test_lungs_of_real_scans_are_those_of_their_annotators(patient: int) -> None:
    """Slices of [-1250, 250] HU as 8 bits; lung masks on those with a lesion only."""
    images = sorted(Path(CORONACASES).glob(f"*/image/coronacases_{patient:03d}_z*.png"))
    folders = [(path.parents[1], path.name) for path in images]
    grey = np.stack([cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in images])
    lesion = [cv2.imread(str(folder / "mask" / name), 0) > 0 for folder, name in folders]
    spacing = (2.0, 1.45, 1.45)
    hu = np.rint(grey / 255 * 1500 - 1250).astype(np.int16)
    found = segment_lungs(hu, Grid.of(hu.shape, spacing))
    owners = lesions_of_lungs(found, np.stack(lesion))
    ours, theirs = [], []
    for index, (folder, name) in enumerate(folders):
        if (folder / "lung" / name).exists():
            theirs.append(cv2.imread(str(folder / "lung" / name), 0) > 0)
            ours.append((found.labels[index] > 0) | (owners[index] > 0))
    assert dice(np.stack(ours), np.stack(theirs)) > 0.965
