from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from evaluation.overlays import pick_cases
from figures.cases import case_panels, draw_cases, save_overlay
from figures.panels import Panel, fit_text
from figures.side_outputs import symbol
from training.prediction import output_to_prob
from utils.contracts import SegOutput


def test_a_case_shows_every_map_of_figure_7_and_the_confidence_with_titles_on_top() -> None:
    logits = torch.zeros(2, 1, 16, 16)
    output = SegOutput(logits, edge=(logits,) * 2, semantic=(logits,) * 3, maps={"P_1": logits})
    batch = {"image": torch.randn(2, 1, 16, 16), "mask": logits}
    rows = [case_panels(batch, output_to_prob(output), index) for index in range(2)]
    titles = ["CT", "target", "prediction", "edge 1", "edge 2"]
    titles += ["semantic 1", "semantic 2", "semantic 3", "$P_1$"]
    assert [panel.title for panel in rows[0]] == titles
    assert (rows[0][2].values == 0.5).all()
    figure = draw_cases(["first", "second"], rows)
    assert [place.get_title() for place in figure.axes] == titles + [""] * 9
    assert [figure.axes[i].get_ylabel() for i in (0, 9)] == ["first", "second"]


def test_a_network_that_names_its_stages_has_them_as_titles_encoder_before_decoder() -> None:
    logits = torch.zeros(1, 1, 16, 16)
    sides = [torch.full_like(logits, value) for value in (1, 2, 3, 4)]
    output = SegOutput(logits, edge=tuple(sides[:2]), semantic=tuple(sides[2:]))
    stages = {"edge": ("S2", "S1*"), "semantic": ("S5", "S4*")}
    shown = output_to_prob(output)
    panels = case_panels({"image": logits, "mask": logits}, shown, 0, stages)[3:]
    assert [panel.title for panel in panels] == [
        "$S_2$ ESM",
        "$S_5$ ASSM",
        "$S_1^*$ ESM",
        "$S_4^*$ ASSM",
    ]
    wanted = [torch.sigmoid(torch.tensor(value)).item() for value in (1.0, 3.0, 2.0, 4.0)]
    assert [panel.values.item(0) for panel in panels] == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("S1", "$S_1$"),
        ("S1*", "$S_1^*$"),
        ("P_1", "$P_1$"),
        ("1 - P_1", "$1 - P_1$"),
        ("edge 1", "edge 1"),
        ("decoder", "decoder"),
    ],
)
def test_only_the_papers_symbols_are_set_as_formulas(name: str, wanted: str) -> None:
    assert symbol(name) == wanted


def test_long_names_are_broken_on_two_lines_and_cut_in_their_middle() -> None:
    # 1 inch at 9 points: 72 / (9 x 0.64) = 12 characters.
    assert fit_text("synthetic_01", 1, 9) == "synthetic_01"
    assert fit_text("synthetic_0004_z007", 1, 9) == "synthetic_\n0004_z007"
    assert fit_text("abcdefghijklmnop", 1, 9) == "abcdefghijkl\nmnop"
    assert fit_text("coronacases_patient_with_a_name_z007", 1, 9) == "coronacases_\n…a_name_z007"


def test_a_ct_slice_is_shown_between_its_percentiles_and_a_probability_from_0_to_1() -> None:
    image = np.linspace(0, 1000, 1001).reshape(7, 143)
    figure = draw_cases(["a"], [[Panel("CT", image, is_probability=False), Panel("p", image)]])
    assert figure.axes[0].images[0].get_clim() == (5, 995)
    assert figure.axes[1].images[0].get_clim() == (0, 1)


def test_overlay_outlines_target_and_prediction(tmp_path: Path) -> None:
    image = np.linspace(0, 1, 4096).reshape(64, 64)
    target, prob = np.zeros((64, 64), bool), np.zeros((64, 64))
    target[10:30, 10:30], prob[40:60, 40:60] = True, 0.9
    save_overlay(tmp_path / "o.png", image, prob, target, 0.5, "case")
    drawn = cv2.imread(str(tmp_path / "o.png")).astype(int)
    blue, red = drawn[..., 0], drawn[..., 2]
    assert (blue > red + 90).sum() > 100  # sky blue, the target
    assert (red > blue + 90).sum() > 100  # orange, the prediction


def test_overlay_of_blank_maps_is_drawn(tmp_path: Path) -> None:
    blank = np.zeros((16, 16))
    save_overlay(tmp_path / "o.png", blank, blank, blank > 0, 0.5, "blank")
    assert cv2.imread(str(tmp_path / "o.png")) is not None


def test_best_median_and_worst_are_of_cases_with_lesion_and_never_twice() -> None:
    dice = [0.1, 0.9, 0.5, 1.0, 0.3, 0.7]
    rows = [{"dice": value, "lesion_px": 10 * (value < 1)} for value in dice]
    picked = pick_cases(rows, count=1)
    # By falling Dice without the empty case 3: 1, 5, 2, 4, 0.
    assert picked == {"best_1": 1, "worst_1": 0, "median_1": 2}
    assert sorted(pick_cases(rows, count=3).values()) == [0, 1, 2, 4, 5]
    assert pick_cases([{"dice": 1.0, "lesion_px": 0}], count=3) == {"best_1": 0}
