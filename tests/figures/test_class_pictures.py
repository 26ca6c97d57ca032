"""Pictures of classes: their colours, the legend, the confusion matrix."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.colors import to_rgb

from figures.cases import case_panels, draw_cases
from figures.charts import figure_to_svg
from figures.classes import (
    colour_classes,
    draw_class_maps,
    draw_confusion,
    overlay_classes,
    save_class_overlay,
)
from figures.palette import outline_colour
from figures.paper import ShownCase
from training.prediction import output_to_prob
from utils.contracts import SegOutput

LABEL = np.array([[0, 1], [2, 0]]).repeat(8, 0).repeat(8, 1)
IMAGE = np.linspace(0, 255, LABEL.size).reshape(LABEL.shape).astype(np.uint8)
NAMES = ("ground-glass", "consolidation")


def test_a_class_has_its_colour_and_the_background_none() -> None:
    colours = colour_classes(LABEL)
    assert not colours[LABEL == 0].any()
    for k in (1, 2):
        assert np.allclose(colours[k == LABEL], to_rgb(outline_colour(k)))
    shown = overlay_classes(IMAGE, LABEL)
    grey = shown[LABEL == 0]
    assert np.allclose(grey, grey[:, :1])
    assert not np.allclose(shown[LABEL == 1][:, 0], shown[LABEL == 1][:, 2])


def test_a_case_of_classes_shows_them_before_its_lesion_with_a_legend() -> None:
    logits = torch.zeros(1, 3, 16, 16)
    logits[:, 2] = 1
    output = SegOutput(logits, edge=(logits[:, :1],), semantic=(logits,))
    label = torch.from_numpy(LABEL)[None]
    batch = {"image": torch.randn(1, 1, 16, 16), "mask": (label > 0).float()[None], "label": label}
    panels = case_panels(batch, output_to_prob(output), 0, classes=logits.argmax(dim=1))
    titles = ["CT", "target classes", "predicted classes", "target", "prediction"]
    assert [panel.title for panel in panels] == [*titles, "edge 1", "semantic 1"]
    assert np.allclose(panels[2].values, to_rgb(outline_colour(2)))
    # Any lesion: (1 + e) / (2 + e) of the three.
    expected = (1 + np.e) / (2 + np.e)
    assert np.allclose(panels[4].values, expected)
    assert np.allclose(panels[6].values, expected)
    figure = draw_cases(["one"], [panels], NAMES)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(NAMES)


def test_class_maps_of_runs_stand_between_slice_and_target(tmp_path: Path) -> None:
    case = ShownCase("one", IMAGE, LABEL > 0, LABEL)
    figure = draw_class_maps([case], {"run": [0 * LABEL]}, NAMES)
    assert [place.get_title() for place in figure.axes] == ["CT", "run", "target"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(NAMES)
    path = tmp_path / "overlay.png"
    save_class_overlay(path, IMAGE, LABEL, 0 * LABEL, IMAGE / 255, NAMES, "one")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_confusion_matrix_says_share_and_px_and_stands_in_a_page() -> None:
    counts = np.array([[90, 10], [0, 0]])
    figure = draw_confusion(counts, ["background", "ground-glass opacity"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["90.0 %\n90 px", "10.0 %\n10 px", "0.0 %\n0 px", "0.0 %\n0 px"]
    svg = figure_to_svg(figure)
    assert "<image" not in svg
    assert "confusion matrix" in svg
