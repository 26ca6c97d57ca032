"""Lungs of an X-ray told apart, shares by hand, and the three files."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from figures.palette import LUNG_OUTLINE, outline_colour
from severity import measure_radiograph, part_lungs, write_radiograph_severity
from severity.lungs.sides import LEFT, RIGHT

NAMES = {1: "ground-glass opacity", 2: "consolidation"}


def lungs(right: tuple[slice, slice] | None, left: tuple[slice, slice] | None) -> np.ndarray:
    mask = np.zeros((20, 40), np.uint8)
    for place in (right, left):
        if place:
            mask[place] = 255
    return mask


BOTH = lungs(np.s_[4:16, 4:16], np.s_[4:16, 24:36])


def test_each_piece_is_a_lung_the_right_one_on_the_left_of_the_image() -> None:
    sides = part_lungs(BOTH)
    np.testing.assert_array_equal(sides[:, :20], np.where(BOTH[:, :20], RIGHT, 0))
    np.testing.assert_array_equal(sides[:, 20:], np.where(BOTH[:, 20:], LEFT, 0))


def test_a_lung_that_reaches_over_the_middle_stays_whole() -> None:
    turned = lungs(np.s_[4:16, 2:12], np.s_[4:16, 18:38])  # the middle is column 20
    assert set(part_lungs(turned)[:, 18:38][turned[:, 18:38] > 0]) == {LEFT}


def test_lungs_in_one_piece_are_cut_in_the_middle() -> None:
    sides = part_lungs(lungs(np.s_[4:16, 4:36], None))
    assert set(sides[4:16, 4:20].ravel()) == {RIGHT}
    assert set(sides[4:16, 20:36].ravel()) == {LEFT}


def test_a_single_lung_has_the_side_that_it_lies_on() -> None:
    sides = part_lungs(lungs(None, np.s_[4:16, 24:36]))
    assert set(np.unique(sides)) == {0, LEFT}


def test_numbered_lungs_are_taken_as_they_are() -> None:
    numbered = np.where(BOTH, np.where(np.arange(40) < 20, LEFT, RIGHT), 0)  # mirrored
    np.testing.assert_array_equal(part_lungs(numbered), numbered)
    assert not part_lungs(np.zeros((4, 4))).any()


def test_shares_are_of_each_lung_and_of_both() -> None:
    label = np.zeros(BOTH.shape, np.uint8)
    label[4:10, 4:16] = 1  # 72 of the 144 px of the right lung
    label[10:13, 24:36] = 2  # 36 of 144 px of the left one
    label[0, 0:3] = 2  # 3 px outside
    severity = measure_radiograph("a", label, part_lungs(BOTH), "Lungs as given.", NAMES)
    shares = {(one.region, one.lesion): one.involvement_percent for one in severity.shares}
    assert shares == {
        ("both lungs", "any lesion"): 37.5,
        ("right lung", "any lesion"): 50.0,
        ("left lung", "any lesion"): 25.0,
        ("both lungs", "ground-glass opacity"): 25.0,
        ("right lung", "ground-glass opacity"): 50.0,
        ("left lung", "ground-glass opacity"): 0.0,
        ("both lungs", "consolidation"): 12.5,
        ("right lung", "consolidation"): 0.0,
        ("left lung", "consolidation"): 25.0,
    }
    assert (severity.lesion_outside_px, severity.notes) == (3, ())


def test_a_missing_lung_and_lesions_outside_are_noted() -> None:
    label = np.zeros(BOTH.shape, np.uint8)
    label[0] = 1
    sides = part_lungs(lungs(np.s_[4:16, 4:16], None))
    severity = measure_radiograph("a", label, sides, "", {1: "Lesion"})
    assert severity.shares[2].involvement_percent is None
    assert severity.notes[0] == "No left lung was found."
    assert severity.notes[1].startswith("100 % of the lesion area lies outside")
    with pytest.raises(ValueError, match="the lungs are"):
        measure_radiograph("a", label[:5], sides, "", {1: "Lesion"})


def test_the_files_tell_the_same(tmp_path: Path) -> None:
    label = (BOTH > 0).astype(np.uint8)
    sides = part_lungs(BOTH)
    severity = measure_radiograph("=a<b", label, sides, "Lungs as given.", {1: "Lesion"})
    write_radiograph_severity(tmp_path / "a", BOTH, label, sides, severity)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a_severity.csv", "a_severity.html", "a_severity.json",
    ]  # fmt: skip
    plain = json.loads((tmp_path / "a_severity.json").read_text())
    assert [one["involvement_percent"] for one in plain["shares"]] == [100, 100, 100]
    rows = list(csv.reader((tmp_path / "a_severity.csv").read_text().splitlines()))
    assert rows[0][-1] == "involvement_percent"
    assert rows[1] == ["'=a<b", "both lungs", "any lesion", "288", "288", "100.0"]
    page = (tmp_path / "a_severity.html").read_text()
    assert "=a&lt;b" in page
    assert page.count('<path class="') == 3
    assert "http" not in page.split("<body>")[1]


def test_every_class_has_its_outline_in_its_own_colour(tmp_path: Path) -> None:
    label = np.where(BOTH, np.where(np.arange(40) < 20, 1, 2), 0).astype(np.uint8)
    severity = measure_radiograph("a", label, part_lungs(BOTH), "Lungs as given.", NAMES)
    write_radiograph_severity(tmp_path / "a", BOTH, label, part_lungs(BOTH), severity)
    page = (tmp_path / "a_severity.html").read_text()
    for value, name in NAMES.items():
        colour = outline_colour(value)
        assert f'style="--lesion: {colour}"></span>{name}' in page
        assert f'<path class="lesion" style="stroke: {colour}" d="M' in page
    assert f"--lung: {LUNG_OUTLINE}" in page
    assert json.loads((tmp_path / "a_severity.json").read_text())["classes"] == {
        str(value): name for value, name in NAMES.items()
    }
