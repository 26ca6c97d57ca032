"""Masks that lie wrong on their images are found, with what puts them right; sound ones pass."""

import numpy as np
import pytest

from preparation.checks.mask_counts import outline_lungs
from preparation.checks.mask_fit import LESIONS, LUNGS, Misfit
from preparation.checks.mask_review import MaskReview, thumbnails_of
from preparation.checks.near_duplicates import make_thumbnail
from preparation.checks.positions import POSITIONS, STORED, Position, turn
from tests.preparation.conversion.drawn_cases import draw
from tests.preparation.drawn_chests import Chest, chests, moved


def review(scans: dict[str, Chest], *, lungs: bool = True) -> list[Misfit]:
    found = MaskReview()
    for patient, (images, lesions, lung_masks) in scans.items():
        rows = zip(images, lesions, lung_masks, strict=True)
        found.add(
            patient,
            [thumbnails_of(i, make_thumbnail(i), le, lu if lungs else None) for i, le, lu in rows],
        )
    return found.misfits()


def wrong(position: Position, lung_position: Position = STORED) -> dict[str, Chest]:
    return {
        name: Chest(c.image, moved(c.lesion, position), moved(c.lung, lung_position))
        for name, c in chests().items()
    }


def by_slice(scans: dict[str, Chest]) -> dict[str, Chest]:
    """Every slice is a patient, as in sets without names."""
    return {
        f"{name}_{i}": Chest(*(part[i : i + 1] for part in chest))
        for name, chest in scans.items()
        for i in range(len(chest.image))
    }


def test_sound_masks_raise_no_alarm() -> None:
    assert review(chests()) == []
    assert review(by_slice(chests())) == []


@pytest.mark.parametrize("position", POSITIONS[1:], ids=lambda position: position.name)
def test_every_wrong_position_is_found_with_its_cure(position: Position) -> None:
    lesions, lungs = review(wrong(position, position))
    for found, kind in ((lesions, LESIONS), (lungs, LUNGS)):
        assert (found.kind, found.patients) == (kind, ())
        assert found.position.after(position) == STORED


def test_lungs_and_lesions_may_lie_wrong_in_two_ways() -> None:
    transposed, mirrored = Position(4), Position(1)
    found = review(wrong(transposed, mirrored))
    assert [(item.kind, item.position) for item in found] == [
        (LESIONS, transposed),
        (LUNGS, mirrored),
    ]
    assert found[0].inside[1] > found[0].inside[0] + 0.1
    assert "inside the lungs as stored and" in found[0].describe()
    assert found[0].describe().endswith("% when transposed")
    assert "lung masks fit the images" in found[1].describe()


@pytest.mark.parametrize("turned", range(1, 8))
def test_single_slices_are_told_together(turned: int) -> None:
    (found,) = review(by_slice(wrong(Position(turned))), lungs=False)
    assert found.patients == ()
    assert found.position.after(Position(turned)) == STORED


def test_the_patients_that_lie_wrong_are_named() -> None:
    scans = dict(chests())
    first = sorted(scans)[0]
    image, lesion, lung = scans[first]
    scans[first] = Chest(image, lesion, moved(lung, Position(2)))
    (found,) = review(scans)
    assert (found.kind, found.patients, found.position) == (LUNGS, (first,), Position(2))
    assert f"of 1 patient ({first})" in found.describe()


def test_healthy_patients_raise_no_alarm() -> None:
    healthy = {n: c._replace(lesion=np.zeros_like(c.lesion)) for n, c in chests().items()}
    assert review(healthy) == []
    first = sorted(healthy)[0]
    assert review({**healthy, first: chests()[first]}) == []


@pytest.mark.parametrize("num_slices", [1, 4, 12, 40])
def test_masks_that_have_nothing_to_do_with_their_images_raise_no_alarm(num_slices: int) -> None:
    images = np.stack([draw(seed) for seed in range(num_slices)])
    drawn = np.stack([draw(seed + 500) > 170 for seed in range(num_slices)])
    rows = np.zeros_like(drawn)
    rows[:, :10] = True
    for masks in (drawn, rows, rows.swapaxes(1, 2)):
        assert review({"a": Chest(images, masks, ~masks)}) == []


def test_images_that_are_not_square_are_not_transposed() -> None:
    flat = {n: Chest(*(part[:, :80] for part in chest)) for n, chest in chests().items()}
    assert review(flat) == []
    mirrored = {n: c._replace(lung=c.lung[..., ::-1]) for n, c in flat.items()}
    (found,) = review(mirrored)
    assert (found.kind, found.position) == (LUNGS, Position(1))


def test_sixteen_bits_and_inverted_windows_are_told_as_well() -> None:
    scans = {
        name: c._replace(image=c.image.astype(np.uint16) * 100)
        for name, c in wrong(Position(4), Position(4)).items()
    }
    assert [found.position for found in review(scans)] == [Position(4)] * 2
    negative = {n: c._replace(image=255 - c.image) for n, c in wrong(Position(4)).items()}
    assert [found.position for found in review(negative)] == [Position(4)]


def test_two_positions_after_each_other_make_one() -> None:
    square = np.arange(9).reshape(3, 3)
    for first in POSITIONS:
        for second in POSITIONS:
            both = second.after(first)
            assert (turn(square, both.turn) == turn(turn(square, first.turn), second.turn)).all()
            assert both.reverse == (first.reverse != second.reverse)


def test_names_of_positions_say_what_they_do() -> None:
    square = np.arange(9).reshape(3, 3)
    done = {position.name: turn(square, position.turn) for position in POSITIONS[:8]}
    assert (done["mirror"] == np.fliplr(square)).all()
    assert (done["flip"] == np.flipud(square)).all()
    assert (done["transpose"] == square.T).all()
    assert (done["rotate-left"] == np.rot90(square)).all()
    assert (done["rotate-right"] == np.rot90(square, -1)).all()
    assert (done["transverse"] == np.rot90(square, 2).T).all()


def test_lungs_are_outlined_and_what_touches_the_border_is_not() -> None:
    image = np.full((64, 64), 200, np.uint8)
    image[:, :4] = 10  # air beside the patient
    image[20:40, 10:25] = image[20:40, 35:50] = 40
    image[50:52, 30:32] = 10  # too small
    outline = outline_lungs(image)
    assert outline[20:40, 10:50].all()
    assert outline.sum() == 20 * 40
    assert outline_lungs(np.full((64, 64), 7, np.uint8)).sum() == 0
