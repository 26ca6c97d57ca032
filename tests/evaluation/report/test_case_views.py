"""Views of cases: pictures, outlines, and the file in which they wait for the page."""

import base64
import re
from typing import Any

import cv2
import numpy as np
import pytest

from evaluation.report import CaseViews
from figures.outlines import outline
from tests.evaluation.report.drawn_report import ROWS, add_view

BLANK = np.zeros((6, 8), dtype=bool)


def mask_of(rows: slice, columns: slice) -> np.ndarray:
    mask = BLANK.copy()
    mask[rows, columns] = True
    return mask


def view_of(image: np.ndarray, target: np.ndarray, pred: np.ndarray) -> dict[str, Any]:
    with CaseViews() as views:
        views.add("case", image, target, pred)
        (view,) = views
    return view


def picture_of(view: dict[str, Any]) -> np.ndarray:
    kind, _, data = view["image"].partition(",")
    assert kind == "data:image/webp;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_GRAYSCALE)


def points_of(path: str) -> list[set[tuple[float, float]]]:
    """The corners of each subpath, as (x, y)."""
    assert re.fullmatch(r"(M[\d.]+( [\d.]+)+Z)*", path)
    subpaths = [np.array(part[1:].split(), float).reshape(-1, 2) for part in path.split("Z")[:-1]]
    return [set(map(tuple, subpath)) for subpath in subpaths]


def test_the_outline_of_a_rectangle_runs_along_its_pixels_sides() -> None:
    # Rows 1 and 2, columns 1 to 3: sides at x 1 and 4, y 1 and 3; half a px off each corner.
    corners = {(1.5, 1), (3.5, 1), (4, 1.5), (4, 2.5), (3.5, 3), (1.5, 3), (1, 2.5), (1, 1.5)}
    assert points_of(outline(mask_of(slice(1, 3), slice(1, 4)))[0]) == [corners]


def test_a_single_pixel_has_an_outline_and_an_empty_mask_has_none() -> None:
    (corners,) = points_of(outline(mask_of(slice(2, 3), slice(5, 6)))[0])
    assert corners == {(5.5, 2), (6, 2.5), (5.5, 3), (5, 2.5)}
    assert outline(BLANK) == ("", 1)


def test_the_outline_closes_along_the_border_of_the_image() -> None:
    (corners,) = points_of(outline(~BLANK)[0])
    assert {(0.5, 0), (8, 0.5), (7.5, 6), (0, 5.5)} < corners


def test_a_hole_and_every_part_have_a_subpath_each() -> None:
    mask = mask_of(slice(0, 5), slice(0, 5))
    mask[2, 2], mask[5, 7] = False, True
    assert len(points_of(outline(mask)[0])) == 3


def test_a_mask_of_specks_is_outlined_in_blocks_and_stays_small() -> None:
    noise = np.random.default_rng(0).random((512, 400)) < 0.5
    path, block = outline(noise)
    assert 0 < len(path) < 24_000
    assert block == 16
    # A solid upper half above specks of a pixel: what is left is the half.
    noise[:256] = True
    noise[256:] = np.indices((256, 400)).sum(0) % 8 == 0
    path, block = outline(noise)
    (corners,) = points_of(path)
    assert (max(x for x, _ in corners), max(y for _, y in corners)) == (400, 256)
    assert block == 2


def test_a_view_knows_its_case_and_both_outlines() -> None:
    target, pred = mask_of(slice(1, 3), slice(1, 4)), mask_of(slice(2, 5), slice(2, 7))
    view = view_of(np.full(BLANK.shape, 90, np.uint8), target, pred)
    assert (view["name"], view["width"], view["height"]) == ("case", 8, 6)
    assert (view["target"], view["target_block"]) == outline(target)
    assert (view["pred"], view["pred_block"]) == outline(pred)
    assert picture_of(view).shape == (6, 8)


def test_views_come_back_in_the_order_of_their_cases_time_and_again() -> None:
    with CaseViews() as views:
        for row in ROWS:
            add_view(views, row)
            assert [view["name"] for view in views][-1] == row["name"]
        assert len(views) == len(ROWS)
        assert [view["name"] for view in views] == [row["name"] for row in ROWS]


def test_eight_bits_are_shown_as_they_are_and_other_levels_between_their_extremes() -> None:
    def extremes(image: np.ndarray) -> tuple[int, int]:
        masks = np.zeros(image.shape, bool)
        picture = picture_of(view_of(image, masks, masks))
        return int(picture.min()), int(picture.max())

    steps = np.repeat(np.repeat(np.arange(16).reshape(4, 4), 16, 0), 16, 1)
    assert extremes((60 + 4 * steps).astype(np.uint8)) == pytest.approx((60, 120), abs=4)
    assert extremes((1000 + 300 * steps).astype(np.uint16)) == pytest.approx((0, 255), abs=4)
    assert extremes(steps / 7 - 1) == pytest.approx((0, 255), abs=4)
    assert extremes(np.full((64, 64), 3000, np.uint16)) == (0, 0)


def test_a_large_slice_is_scaled_down_and_its_outlines_keep_their_coordinates() -> None:
    image, target = np.zeros((600, 1200), np.uint8), np.zeros((600, 1200), bool)
    image[300:500, 900:1100] = 200
    target[300:500, 900:1100] = True
    view = view_of(image, target, target)
    picture = picture_of(view)
    assert picture.shape == (192, 384)
    assert (view["width"], view["height"]) == (1200, 600)
    (corners,) = points_of(view["target"])
    assert (max(x for x, _ in corners), max(y for _, y in corners)) == (1100, 500)
    rows, columns = np.nonzero(picture > 100)
    assert (columns.max() + 1) / 384 == pytest.approx(1100 / 1200, abs=0.01)
    assert (rows.max() + 1) / 192 == pytest.approx(500 / 600, abs=0.01)


def test_a_noisy_slice_loses_quality_first_and_size_only_then() -> None:
    rng, blank = np.random.default_rng(0), np.zeros((256, 256), bool)
    for levels, side in (
        (rng.normal(100, 10, blank.shape), 256),
        (rng.uniform(0, 255, blank.shape), 128),
    ):
        view = view_of(levels.astype(np.uint8), blank, blank)
        assert picture_of(view).shape == (side, side)
        assert len(view["image"]) < 12.1 * 1024  # 9 KiB in base64


@pytest.mark.parametrize(
    ("image", "target", "message"),
    [
        (np.zeros((6, 8, 3)), BLANK, r"image must be a non-empty \(H, W\)"),
        (np.zeros((6, 7)), BLANK, r"target is \(6, 8\), image is \(6, 7\)"),
        (np.full((6, 8), np.nan), BLANK, "not finite"),
        (np.zeros((6, 8)), BLANK.astype(np.uint8), "target must be bool, got uint8"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    image: np.ndarray, target: np.ndarray, message: str
) -> None:
    with CaseViews() as views:
        with pytest.raises(ValueError, match=rf"case 'c7': .*{message}"):
            views.add("c7", image, target, BLANK)
        assert len(views) == 0
