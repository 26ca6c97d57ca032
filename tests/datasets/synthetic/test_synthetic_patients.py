"""The synthetic patients: what they have, where it lies, and what of it is labelled."""

import dataclasses

import cv2
import numpy as np
import pytest

from datasets.synthetic.findings import Findings, oblique_fissure
from datasets.synthetic.generate import (
    Patient,
    SyntheticSlice,
    draw_slice,
    make_patient,
)
from datasets.synthetic.lesions import LOWER, UPPER, Disease, make_disease
from datasets.synthetic.vessels import MAX_RADIUS


def _person(number: int, **changes: object) -> Patient:
    return make_patient(np.random.default_rng([0, number]), 128, 0.0)._replace(**changes)


def _draw(person: Patient, z: float) -> SyntheticSlice:
    return draw_slice(person, z, np.random.default_rng(0))


def _blob(z: float, **changes: float) -> np.ndarray:
    """A dense ball behind the middle of the image-left lung."""
    row = {"x": -45.0, "y": 25.0, "z": z, "along": 22.0, "across": 22.0, "deep": 40.0}
    rest = {"angle": 0.0, "hu": -250.0, "hugs": 0.0, "border": 0.5, "hollow": 0.0, "lobe": 0.0}
    return np.array([list((row | rest | changes).values())], np.float32)


def _disease(*blobs: np.ndarray) -> Disease:
    return Disease(
        np.concatenate([np.empty((0, 12), np.float32), *blobs]), 0.0, 0.3, 50, np.zeros(2)
    )


@pytest.mark.parametrize(
    ("field", "rows"),
    [
        ("bullae", [(-45, 5, 85, 9), (45, 5, 85, 9)]),
        ("nodules", [(-45, 20, 85, 3)]),
        ("bands", [(-45, 20, 85, 0.3, 30, 5)]),
        ("collapse", 150.0),
        ("trapping", 40.0),
    ],
)
def test_a_finding_is_seen_and_is_no_lesion(field: str, rows: object) -> None:
    nothing = Findings(*[np.empty((0, n), np.float32) for n in (4, 4, 6)], -700.0, 0.0, 0.0)
    value = np.array(rows, np.float32) if isinstance(rows, list) else rows
    plain = _draw(_person(1, disease=_disease(), findings=nothing), 85)
    found = _draw(
        _person(1, disease=_disease(), findings=dataclasses.replace(nothing, **{field: value})), 85
    )
    inside = found.lung > 0
    assert (found.lung == plain.lung).all()
    assert np.abs(found.image.astype(int) - plain.image)[inside].max() > 5
    assert not found.label.any()


def test_the_lung_keeps_what_is_diseased() -> None:
    well, ill = (_draw(_person(1, disease=_disease(*rows)), 85) for rows in ((), (_blob(85),)))
    assert np.count_nonzero(ill.label) > 150
    assert (ill.lung == well.lung).all()
    assert ill.image[ill.label > 0].mean() > well.image[ill.label > 0].mean() + 50


def test_effusion_is_a_class_of_its_own_and_no_lung() -> None:
    person = _person(1)
    dry = _draw(person._replace(disease=_disease()), 120)
    wet = _draw(
        person._replace(disease=dataclasses.replace(_disease(), effusion=np.array([18, 0]))), 120
    )
    fluid = wet.label == 3
    assert np.count_nonzero(fluid) > 30
    assert set(np.unique(wet.label)) == {0, 3}
    assert not wet.lung[fluid].any()
    assert dry.lung[fluid].any()
    assert (np.nonzero(fluid)[1] < person.frame.center[0]).all()


def test_a_lobar_lesion_stops_at_its_fissure() -> None:
    person = _person(1)
    contour = person.anatomy.lung_contour(0, 85)
    fissure = oblique_fissure(contour, person.frame.x[0], 85)
    behind = person.frame.y > fissure
    shares = []
    for lobe in (UPPER, LOWER):
        big = _blob(85, x=-45, y=float(fissure[40]), along=40, across=40, lobe=lobe)
        label = _draw(person._replace(disease=_disease(big)), 85).label > 0
        shares.append(behind[label].mean())
    assert shares[0] < 0.2
    assert shares[1] > 0.8


def test_a_crescent_hugs_the_pleura() -> None:
    person = _person(1)
    x, y = person.anatomy.lung_contour(0, 85)[24]
    crescent = _blob(85, x=x, y=y, along=30, across=10, hugs=1)
    item = _draw(person._replace(disease=_disease(crescent)), 85)
    depth = cv2.distanceTransform((item.lung > 0).astype(np.uint8), cv2.DIST_L2, 3)
    assert np.count_nonzero(item.label) > 60
    assert depth[item.label > 0].max() < 0.5 * depth.max()


def test_a_reversed_halo_is_clearer_in_the_middle() -> None:
    near = np.hypot(_person(1).frame.x + 45, _person(1).frame.y - 25)
    clear, full = (
        _draw(_person(1, disease=_disease(_blob(85, hollow=hollow))), 85).image.astype(float)
        for hollow in (250, 0)
    )
    assert (full - clear)[near < 6].mean() > 15 > 5 > np.abs(full - clear)[near > 30].mean()


def test_a_thick_slice_loses_thin_vessels_and_the_edge_of_the_diaphragm() -> None:
    person = _person(1, disease=_disease())
    details = []
    for thickness in (1.0, 5.0):
        scanner = person.scanner._replace(thickness=thickness, noise=0.0, motion=0.0)
        item = _draw(person._replace(scanner=scanner), 85)
        fine = item.image - cv2.GaussianBlur(item.image.astype(np.float32), (0, 0), 1.5)
        details.append(fine[cv2.erode(item.lung, np.ones((7, 7))) > 0].std())
    assert details[1] < 0.95 * details[0]


def test_a_share_of_patients_is_healthy() -> None:
    anatomy = _person(1).anatomy
    rng = np.random.default_rng(0)
    healthy = sum(not len(make_disease(rng, anatomy).blobs) for _ in range(200))
    assert 8 <= healthy <= 40
    assert all(len(make_disease(rng, anatomy, 0.5).blobs) < 200 for _ in range(20))


def test_vessels_thin_out_towards_the_pleura() -> None:
    tree = _person(1).tree
    for side in (-1, 1):
        balls = tree.vessels[tree.vessels[:, 0] * side > 0]
        away = np.hypot(balls[:, 0] - side * 21, balls[:, 1])
        near, far = balls[away < 15, 3], balls[away > 45, 3]
        assert np.percentile(near, 98) > 1.5 * np.percentile(far, 98)
        assert far.max() < MAX_RADIUS
    assert len(tree.bronchi) < 0.2 * len(tree.vessels)


def test_annotators_stop_short_of_the_pleura() -> None:
    x, y = _person(1).anatomy.lung_contour(0, 85)[24]
    crescent = _disease(_blob(85, x=x, y=y, along=30, across=12, hugs=1))
    shares = []
    for gap in (0.0, 2.4):
        item = _draw(_person(1, disease=dataclasses.replace(crescent, pen=(0.4, 1.3, gap))), 85)
        rim = (item.lung > 0) & (cv2.erode(item.lung, np.ones((3, 3))) == 0)
        shares.append(np.count_nonzero(item.label[rim]))
    assert shares[0] > 15
    assert shares[1] < 0.3 * shares[0]
