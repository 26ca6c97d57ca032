from pathlib import Path

import cv2
import numpy as np
import torch

from utils.contracts import SegOutput
from utils.figures import case_panels, draw_cases, save_overlay
from utils.overlays import pick_cases


def test_a_case_shows_every_map_of_figure_7_and_the_confidence_with_titles_on_top() -> None:
    logits = torch.zeros(2, 1, 16, 16)
    output = SegOutput(logits, edge=(logits,) * 2, semantic=(logits,) * 3, maps={"P_1": logits})
    batch = {"image": torch.randn(2, 1, 16, 16), "mask": logits}
    rows = [case_panels(batch, output, index) for index in range(2)]
    titles = ["CT", "target", "prediction", "edge 1", "edge 2"]
    titles += ["semantic 1", "semantic 2", "semantic 3", "$P_1$"]
    assert [panel.title for panel in rows[0]] == titles
    assert (rows[0][2].values == 0.5).all()
    figure = draw_cases(["first", "second"], rows)
    assert [place.get_title() for place in figure.axes] == titles + [""] * 9
    assert [figure.axes[i].get_ylabel() for i in (0, 9)] == ["first", "second"]


def test_overlay_outlines_target_and_prediction(tmp_path: Path) -> None:
    image = np.linspace(0, 1, 4096).reshape(64, 64)
    target, prob = np.zeros((64, 64), bool), np.zeros((64, 64))
    target[10:30, 10:30], prob[40:60, 40:60] = True, 0.9
    save_overlay(tmp_path / "o.png", image, prob, target, 0.5, "case")
    drawn = cv2.imread(str(tmp_path / "o.png")).astype(int)
    blue, green, red = drawn[..., 0], drawn[..., 1], drawn[..., 2]
    assert ((green > red + 60) & (green > blue + 60)).sum() > 100
    assert ((red > green + 60) & (red > blue + 60)).sum() > 100


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
