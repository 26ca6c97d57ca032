from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from figures.palette import PREDICTION, outline_colour
from inference.pictures import Tile, draw_overlay, pick_evenly, save_sheet


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(round(255 * part) for part in to_rgb(colour))


ORANGE = rgb(PREDICTION)


def test_the_outline_runs_around_the_lesion() -> None:
    gray = np.full((7, 7), 90, np.uint8)
    label = np.zeros((7, 7), np.uint8)
    label[3, 2:4] = 1
    picture = draw_overlay(gray, label)
    drawn = (picture == ORANGE).all(-1)
    wanted = np.zeros((7, 7), bool)
    wanted[2, 2:4] = wanted[4, 2:4] = wanted[3, 1] = wanted[3, 4] = True
    np.testing.assert_array_equal(drawn, wanted)
    assert (picture[~wanted] == 90).all()


def test_every_class_has_a_colour_of_its_own_and_an_empty_slice_none() -> None:
    gray = np.zeros((9, 9), np.uint8)
    label = np.zeros((9, 9), np.uint8)
    assert not draw_overlay(gray, label).any()
    label[2, 2], label[6, 6] = 1, 2
    picture = draw_overlay(gray, label, num_classes=2)
    assert tuple(picture[1, 2]) == rgb(outline_colour(1))
    assert tuple(picture[5, 6]) == rgb(outline_colour(2))


@pytest.mark.parametrize(("names", "has_legend"), [(("lesion",), False), (("a", "b"), True)])
def test_a_sheet_names_its_classes_in_their_colours(
    tmp_path: Path, names: tuple[str, ...], has_legend: bool
) -> None:
    blank = Tile("slice 7", np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8))
    save_sheet(tmp_path / "sheet.png", [blank], "title", names)
    sheet = cv2.cvtColor(cv2.imread(str(tmp_path / "sheet.png")), cv2.COLOR_BGR2RGB)
    for value in (1, 2):
        assert (sheet == rgb(outline_colour(value))).all(-1).any() == has_legend


def test_one_bright_px_does_not_darken_16_bits() -> None:
    gray = np.tile(np.linspace(1000, 2000, 50), (50, 1)).astype(np.uint16)
    gray[0, 0] = 65535
    picture = draw_overlay(gray, np.zeros(gray.shape, np.uint8))
    assert picture.dtype == np.uint8
    assert picture[1:].max() > 250
    assert picture.min() == 0
    assert 110 < picture[10, 25, 0] < 145


@pytest.mark.parametrize(
    ("areas", "picked"),
    [
        ([0, 4, 0, 3], [1, 3]),
        ([0, 0, 0], [0, 1, 2]),
        ([1] * 100, [0, 33, 66, 99]),
        ([0] * 50 + [5] * 7, [50, 52, 54, 56]),
        ([0], [0]),
    ],
)
def test_slices_with_lesion_are_picked_evenly(areas: list[int], picked: list[int]) -> None:
    assert pick_evenly(areas, count=4) == picked


def test_tiles_keep_the_shape_of_the_body_and_small_lesions(tmp_path: Path) -> None:
    label = np.zeros((512, 512), np.uint8)
    label[200, 300] = 1
    square = Tile("slice 7\n0.1 cm²", np.full((512, 512), 60, np.uint8), label)
    # Rows lie 5 mm apart, columns 0.5 mm: 50 mm by 25 mm.
    oblong = Tile(
        "ß_" * 40, np.full((10, 50), 60, np.uint8), np.zeros((10, 50), np.uint8), (5, 0.5)
    )
    save_sheet(tmp_path / "sheet.png", [square, oblong, *[square] * 4], "title")
    sheet = cv2.cvtColor(cv2.imread(str(tmp_path / "sheet.png")), cv2.COLOR_BGR2RGB)
    grey = (sheet == 60).all(-1)
    columns = np.flatnonzero(grey.sum(0) > 200)
    assert columns.min() == 6
    first = grey[:, 6:246]
    rows = np.flatnonzero(first.sum(1) > 200)
    assert len(rows) == 2 * 240  # in two rows of tiles
    second = grey[: rows[239] + 1, 252:492]
    assert second.sum() == 120 * 240
    assert (sheet == ORANGE).all(-1).any()
