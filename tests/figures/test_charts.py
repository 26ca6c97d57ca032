import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from figures.charts import figure_to_svg
from figures.palette import INK, METRICS
from figures.scores import (
    draw_dice_by_area,
    draw_dice_histogram,
    draw_run_curves,
    draw_threshold_curves,
)

RISING = np.linspace(0.2, 0.9, 256)


def lines(place: Axes) -> dict[str, np.ndarray]:
    """The values of the lines on a panel by their labels."""
    return {line.get_label(): np.asarray(line.get_ydata()) for line in place.lines}


def hill(best: int) -> np.ndarray:
    """A curve with its highest value, 0.8, at one of 256 thresholds."""
    return 0.8 - np.abs(np.arange(256) - best) / 1000


def test_threshold_curves_are_drawn_as_given_in_per_cent() -> None:
    curves = {"precision": RISING, "dice": hill(51), "sensitivity": RISING[::-1]}
    (place,) = draw_threshold_curves(curves, threshold=0.5).axes
    drawn = lines(place)
    for label, key in (("Dice", "dice"), ("Sens.", "sensitivity"), ("Prec.", "precision")):
        np.testing.assert_allclose(drawn[label], 100 * curves[key])
    assert (place.get_xlabel(), place.get_ylabel()) == ("threshold", "mean over cases in %")
    thresholds = place.lines[1].get_xdata()
    assert (thresholds[0], thresholds[51], thresholds[255]) == (0, 51 / 255, 1)


def test_the_used_threshold_and_the_best_dice_are_marked() -> None:
    (place,) = draw_threshold_curves({"dice": hill(51)}, threshold=0.35).axes
    marks = {line.get_label(): line for line in place.lines}
    assert list(marks["threshold 0.35"].get_xdata()) == [0.35, 0.35]
    best = marks["best Dice 80.0 at 0.20"]  # 51 / 255
    assert (list(best.get_xdata()), list(best.get_ydata())) == ([0.2], [80])


def test_of_equally_good_thresholds_the_lowest_is_the_best() -> None:
    flat = np.full(256, 0.5)
    flat[0] = np.nan
    (place,) = draw_threshold_curves({"dice": flat}, threshold=0.5).axes
    assert "best Dice 50.0 at 0.00" in lines(place)  # 1 / 255, the first that is not NaN


def test_curves_without_any_value_have_no_best() -> None:
    (place,) = draw_threshold_curves({"dice": np.full(256, np.nan)}, threshold=0.5).axes
    assert list(lines(place)) == ["threshold 0.5", "Dice"]


def test_an_unknown_curve_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match="no curve is known as recall"):
        draw_threshold_curves({"dice": RISING, "recall": RISING}, threshold=0.5)


def test_every_run_has_a_line_of_its_own_look() -> None:
    curves = {f"run {i}": RISING * i / 12 for i in range(12)}
    (place,) = draw_run_curves(curves, threshold=0.5).axes
    drawn = [line for line in place.lines if str(line.get_label()).startswith("run")]
    for line, values in zip(drawn, curves.values(), strict=True):
        np.testing.assert_allclose(line.get_ydata(), 100 * values)
    # A line's own dashes, whatever its width; (None) is solid.
    assert len({(line.get_color(), str(line._unscaled_dash_pattern)) for line in drawn}) == 12


def test_dice_is_counted_over_the_slices_with_lesion_alone() -> None:
    dice = np.array([0.02, 0.52, 0.54, 1.0, 1.0, 0.0, np.nan])
    area = np.array([10.0, 20.0, 30.0, 40.0, 0.0, 0.0, 50.0])
    figures = draw_dice_histogram(dice, area), draw_dice_by_area(dice, area)
    (distribution,), (scatter,) = (figure.axes for figure in figures)
    heights = [int(bar.get_height()) for bar in distribution.patches]
    # Bins of 5 %: 2 % in the first, 52 % and 54 % in the eleventh, 100 % in the last.
    assert (heights[0], heights[10], heights[19], sum(heights)) == (1, 2, 1, 4)
    assert "median 53.0 %" in lines(distribution)  # of 2, 52, 54, 100
    (cases,) = [line for line in scatter.lines if line.get_label() == "case"]
    np.testing.assert_allclose(cases.get_xdata(), [10, 20, 30, 40])
    np.testing.assert_allclose(cases.get_ydata(), [2, 52, 54, 100])
    note = "4 slices with lesion; 2 slices without lesion left out; 1 slice without a Dice left out"
    assert [figure.get_supxlabel() for figure in figures] == [note, note]


def test_medians_are_of_groups_of_equally_many_cases_by_area() -> None:
    # Eight cases make two groups of four: areas 1 to 4, Dice 10 to 40, and 5 to 8, 50 to 80.
    area = np.array([8.0, 1.0, 7.0, 2.0, 6.0, 3.0, 5.0, 4.0])
    (scatter,) = draw_dice_by_area(area / 10, area, unit="mm²").axes
    (medians,) = [line for line in scatter.lines if "median of 2 groups" in line.get_label()]
    np.testing.assert_allclose(medians.get_xdata(), [2.5, 6.5])
    np.testing.assert_allclose(medians.get_ydata(), [25, 65])
    assert scatter.get_xscale() == "log"
    assert scatter.get_xlabel() == "lesion area in mm²"


@pytest.mark.parametrize("area", [np.zeros(3), np.full(3, 7.0), np.zeros(0)])
def test_no_lesion_equal_lesions_and_no_case_are_drawn(area: np.ndarray) -> None:
    for draw in (draw_dice_histogram, draw_dice_by_area):
        svg = figure_to_svg(draw(np.ones(len(area)), area))
        assert f"{(area > 0).sum()} slices with lesion" in svg


def test_dice_without_its_area_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3,\) Dice, but \(2,\)"):
        draw_dice_histogram(np.ones(3), np.ones(2))


def test_an_svg_stands_in_a_light_or_dark_page_on_its_own() -> None:
    svg = figure_to_svg(draw_threshold_curves({"dice": RISING}, threshold=0.5))
    assert svg.startswith("<svg ")
    assert svg.endswith("</svg>")
    root = ElementTree.fromstring(svg)
    assert (root.get("role"), root.get("aria-label")) == ("img", "threshold curves")
    texts = {element.text: element for element in root.iter() if element.tag.endswith("}text")}
    assert {"threshold", "Dice", "0.4", "best Dice 90.0 at 1.00"} <= texts.keys()
    assert all("currentColor" in element.get("style") for element in texts.values())
    assert INK not in svg
    for colour in ("#ffffff", "#000000", "white", "black"):
        assert colour not in svg
    # Nothing of the page is styled, nothing else is asked for.
    assert re.findall(r"<!|<\?|<style|<script|<metadata|<image|xlink|@import", svg) == []
    assert re.findall(r"https?://[^\"]*", svg) == ["http://www.w3.org/2000/svg"]


def test_ids_of_two_figures_never_meet_and_every_reference_finds_its_own() -> None:
    one = figure_to_svg(draw_threshold_curves({"dice": RISING}, threshold=0.5))
    two = figure_to_svg(draw_threshold_curves({"dice": RISING}, threshold=0.6))
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (one, two)]
    assert len(ids[0]) > 20
    assert ids[0].isdisjoint(ids[1])
    for svg, known in zip((one, two), ids, strict=True):
        used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg))
        assert used
        assert used <= known


def test_equal_figures_give_equal_svg() -> None:
    texts = {figure_to_svg(draw_dice_histogram(RISING, 100 * RISING)) for _ in range(2)}
    assert len(texts) == 1


def luminance(colour: str) -> float:
    """Relative luminance as the WCAG define it."""
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot((0.2126, 0.7152, 0.0722), channels))


@pytest.mark.parametrize("colour", METRICS.values())
@pytest.mark.parametrize("page", ["#ffffff", "#111111"])
def test_lines_stand_out_from_a_light_and_from_a_dark_page(colour: str, page: str) -> None:
    dark, light = sorted((luminance(colour), luminance(page)))
    assert (light + 0.05) / (dark + 0.05) >= 3
