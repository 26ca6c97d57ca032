from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from evaluation.paper_figures import pick_by_area
from figures.palette import FALSE_POSITIVE, MISSED
from figures.paper import (
    FUSION_MAPS,
    Prediction,
    ShownCase,
    SideMap,
    colour_agreement,
    draw_figure_6,
    draw_figure_7,
    draw_figure_8,
)

SIZES = {"first": (40, 50), "second": (64, 48)}  # px


def case_of(name: str) -> ShownCase:
    """A slice with a square lesion."""
    height, width = SIZES[name]
    target = np.zeros((height, width), bool)
    target[10:20, 10:20] = True
    return ShownCase(name, np.arange(height * width, dtype=np.uint16).reshape(target.shape), target)


CASES = [case_of(name) for name in SIZES]


def predict(
    case: ShownCase, names: dict[str, str] | None = None, maps: tuple[str, ...] = ()
) -> Prediction:
    """Maps of constant value: 0.1, 0.2 ... for the side outputs, 0.5, 0.6 ... for inner maps."""

    def constant(value: float) -> np.ndarray:
        return np.full(case.image.shape, value)

    sides = [
        SideMap(name, module, module == "ESM", constant((i + 1) / 10))
        for i, (name, module) in enumerate((names or {}).items())
    ]
    inner = {name: constant(0.5 + i / 10) for i, name in enumerate(maps)}
    return Prediction(constant(0.7), edge=constant(0.9), sides=sides, maps=inner)


def shown(place: Axes) -> np.ndarray:
    """The values of a panel."""
    return np.asarray(place.images[0].get_array())


def test_figure_6_has_ct_a_column_per_run_and_the_target_last() -> None:
    preds = {"unet": [~case.target for case in CASES], "ours": [case.target for case in CASES]}
    figure = draw_figure_6(CASES, preds)
    places = np.array(figure.axes).reshape(2, 4)
    assert [place.get_title() for place in places[0]] == ["CT", "unet", "ours", "target"]
    assert [place.get_ylabel() for place in places[:, 0]] == ["first", "second"]
    for row, case in zip(places, CASES, strict=True):
        np.testing.assert_array_equal(shown(row[0]), case.image)
        np.testing.assert_array_equal(shown(row[1]), colour_agreement(~case.target, case.target))
        np.testing.assert_array_equal(shown(row[2])[..., 0], case.target)  # all found: white
        np.testing.assert_array_equal(shown(row[3]), case.target)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["lesion found", "false positive", "missed"]


def test_agreement_has_a_colour_for_each_of_the_four_outcomes() -> None:
    pred, target = np.array([[True, True, False, False]]), np.array([[True, False, True, False]])
    colours = colour_agreement(pred, target)[0]
    wanted = [(1, 1, 1), to_rgb(FALSE_POSITIVE), to_rgb(MISSED), (0, 0, 0)]
    np.testing.assert_allclose(colours, wanted)


def test_figure_7_names_stages_and_modules_and_ends_with_their_targets() -> None:
    names = {"S1": "ESM", "S3": "ASSM", "S1*": "ESM"}
    figure = draw_figure_7(CASES, [predict(case, names) for case in CASES])
    places = np.array(figure.axes).reshape(2, 6)
    assert [place.get_title() for place in places[0]] == [
        "CT",
        "$S_1$\nESM",
        "$S_3$\nASSM",
        "$S_1^*$\nESM",
        "edge\ntarget",
        "target",
    ]
    values = [shown(place).item(0) for place in places[1, 1:5]]
    assert values == [0.1, 0.2, 0.3, 0.9]
    np.testing.assert_array_equal(shown(places[1, 5]), CASES[1].target)


def test_figure_7_of_edges_alone_ends_with_the_edge_as_the_papers_does() -> None:
    names = {f"S{i}": "ESM" for i in range(1, 6)}
    figure = draw_figure_7(CASES[:1], [predict(CASES[0], names)])
    titles = [place.get_title() for place in figure.axes]
    assert titles[0] == "CT"
    assert titles[-1] == "edge\ntarget"
    assert len(titles) == 7


def test_figure_8_shows_the_fusion_from_the_confidence_to_the_prediction() -> None:
    figure = draw_figure_8(CASES, [predict(case, maps=FUSION_MAPS) for case in CASES])
    places = np.array(figure.axes[:12]).reshape(2, 6)
    titles = [place.get_title() for place in places[0]]
    assert titles == ["CT", "$P_1$", "$1 - P_1$", r"$\sigma(Y_1)$", r"$\sigma(S_p)$", "target"]
    assert [shown(place).item(0) for place in places[1, 1:5]] == [0.5, 0.6, 0.7, 0.8]
    assert all(place.images[0].get_clim() == (0, 1) for place in places[0, 1:])
    (bar,) = figure.axes[12:]
    assert [tick.get_text() for tick in bar.get_xticklabels()] == ["0", "0.5", "1"]


def test_a_network_without_the_maps_has_no_such_figure() -> None:
    plain = [predict(case) for case in CASES]
    assert draw_figure_7(CASES, plain) is None
    assert draw_figure_8(CASES, plain) is None
    assert draw_figure_8(CASES, [predict(case, maps=("P_1",)) for case in CASES]) is None


def test_every_figure_is_as_wide_as_a_page_and_its_text_legible() -> None:
    names = {f"S{i}{star}": "ESM" for star in ("", "*") for i in range(1, 6)}
    long = "a_run_with_a_name_longer_than_its_column_is_wide"
    figures = [
        draw_figure_6(CASES, {long + str(i): [case.target for case in CASES] for i in range(5)}),
        draw_figure_7(CASES, [predict(case, names) for case in CASES]),
        draw_figure_8(CASES, [predict(case, maps=FUSION_MAPS) for case in CASES]),
    ]
    for figure in figures:
        assert figure.get_figwidth() == 7
        figure.draw_without_rendering()
        boxes = []
        for place in figure.axes:
            texts = [place.title, place.yaxis.label, *place.get_xticklabels()]
            assert all(text.get_fontsize() >= 7 for text in texts if text.get_text())
            if place.get_title():
                boxes.append(place.title.get_window_extent())
        boxes.sort(key=lambda box: box.x0)
        assert all(box.y1 <= figure.bbox.y1 for box in boxes)
        assert all(one.x1 < two.x0 for one, two in pairwise(boxes))


def test_panels_keep_the_slices_proportions() -> None:
    figure = draw_figure_6(CASES, {"run": [case.target for case in CASES]})
    width, height = figure.get_size_inches()
    for place, size in zip((figure.axes[0], figure.axes[4]), SIZES.values(), strict=True):
        box = place.get_position()
        np.testing.assert_allclose(box.height * height / (box.width * width), size[0] / size[1])


def test_cases_are_picked_from_small_to_large_lesions_evenly_by_rank() -> None:
    areas = [0, 50, 10, 0, 30, 20, 40, 60, 70, 80]
    # With lesion by area: 2, 5, 4, 6, 1, 7, 8, 9; ranks 1, 3, 5, 7 of them.
    assert pick_by_area(areas, 4) == [5, 6, 7, 9]
    assert pick_by_area(areas, 1) == [1]
    assert pick_by_area(areas, 99) == [2, 5, 4, 6, 1, 7, 8, 9]
    assert pick_by_area([0, 0, 0], 2) == [0, 2]
