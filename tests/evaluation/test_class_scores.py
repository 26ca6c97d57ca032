"""What test.py makes of a network that tells classes apart."""

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from datasets.image_io import read_gray
from evaluation.cases import Case, NetworkCases
from evaluation.class_scores import ClassScores
from evaluation.class_tables import class_tables
from evaluation.scoring import build_meter
from metrics.protocols import NATIVE
from metrics.registry import main_metrics
from tests.class_data import VALUES, add_classes
from tests.conftest import write_slices
from training.runtime import create_runtime
from training.split import open_split
from utils.config_loader import load_config
from utils.contracts import SegOutput

CPU = create_runtime("cpu", "fp32", channels_last=False)


class Brightness(nn.Module):
    """Lesion where it is bright: class 1 in the left half, class 2 in the right half."""

    def forward(self, image: Tensor, with_maps: bool = False) -> SegOutput:
        lesion = 8 * image[:, :1] - 4
        right = torch.arange(image.shape[3], device=image.device) >= image.shape[3] // 2
        left = (~right).expand_as(lesion)
        classes = [torch.where(left == own, lesion, -20.0) for own in (True, False)]
        return SegOutput(mask=torch.cat([torch.zeros_like(lesion), *classes], dim=1))


@pytest.fixture
def source(tmp_path: Path) -> Callable[[bool], NetworkCases]:
    """Five slices, the last one without lesion; at their own size or the network's."""
    write_slices(tmp_path, "test", 5)
    add_classes(tmp_path)
    pairs = [f"data.root={tmp_path}", "data.image_size=32", "data.num_workers=0"]
    config = load_config(overrides=[*pairs, "data.classes=[consolidation, ground-glass]"])
    split = open_split(config.data, "test")
    return partial(NetworkCases, Brightness(), split, config, CPU)


def score(cases: list[Case], has_spacing: bool = False) -> ClassScores:
    settings = load_config().evaluation
    scores = ClassScores(VALUES, partial(build_meter, NATIVE, settings, has_spacing=has_spacing))
    for case in cases:
        scores.view(case, None)
    return scores


@pytest.mark.parametrize("at_network_size", [True, False])
def test_cases_have_classes_in_the_order_of_the_configuration(
    source: Callable, at_network_size: bool
) -> None:
    found = source(at_network_size)
    assert list(found.classes.items()) == [("consolidation", 2), ("ground-glass", 1)]
    side = 32 if at_network_size else 64
    for case in found.cases():
        assert case.label.shape == case.prob.shape == (side, side)
        assert case.class_prob.shape == (3, side, side)
        assert np.abs(case.class_prob.sum(axis=0) - 1).max() < 1e-5
        assert (case.prob == 1 - case.class_prob[0]).all()
        assert (case.target == (case.label > 0)).all()
        columns = [np.nonzero(case.label == k)[1].mean() for k in (1, 2) if case.target.any()]
        assert not columns or columns[0] > columns[1]  # consolidation, class 1, is on the right


def draw_case(name: str, spacing: tuple[float, float] | None) -> Case:
    """8 x 8 px: 16 of class 1, 8 of class 2; half of these are taken for class 1."""
    label = np.zeros((8, 8), np.uint8)
    label[:2], label[2] = 1, 2
    pred = label.copy()
    pred[2, :4] = 1
    prob = np.stack([np.where(pred == k, 0.8, 0.1) for k in range(3)]).astype(np.float32)
    image = np.zeros((8, 8), np.uint8)
    return Case(name, name, image, 1 - prob[0], label > 0, spacing, prob, label)


def test_areas_confusion_and_means_by_hand() -> None:
    scores = score([draw_case("a", (0.5, 2.0)), draw_case("b", (1.0, 3.0))], has_spacing=True)
    summary = scores.summary()
    assert summary["confusion_matrix"] == [[80, 0, 0], [0, 32, 0], [0, 8, 8]]
    one, two = summary["classes"].values()
    assert (one["area_px"], one["pred_area_px"]) == (32, 40)
    # 16 px of 1 mm² and 16 px of 3 mm²; predicted 20 of each.
    assert one["area_cm2"] == pytest.approx(0.64)
    assert one["pred_area_cm2"] == pytest.approx(0.80)
    dice = 2 * 16 / (16 + 20), 2 * 4 / (8 + 4)
    assert (one["dice"], two["dice"]) == pytest.approx(dice)
    assert summary["class_mean"]["dice"] == pytest.approx(np.mean(dice))
    assert one["volume_error_patient"] == pytest.approx(0.25)
    assert (two["num_lesions"], two["num_lesions_found"]) == (2, 2)
    rows = scores.confusion_rows()
    assert rows[2]["consolidation_px"] == 8
    assert rows[2]["ground-glass_share"] == 0.5
    tables = {table.caption: table for table in class_tables(summary)}
    areas = tables["Classes, how much there is"]
    assert "area cm²" in areas.heads
    assert [len(cells) for _, cells in areas.rows] == [len(areas.heads)] * 2
    mean = tables["Classes, mean over slices"].rows[-1]
    assert (mean[0], mean[1][0].text) == ("mean of the classes", f"{100 * np.mean(dice):.2f}")


def test_without_a_spacing_there_are_no_areas_in_cm2() -> None:
    summary = score([draw_case("a", (1.0, 1.0)), draw_case("b", None)]).summary()
    assert all("area_cm2" not in own for own in summary["classes"].values())
    assert class_tables({"dice": 0.5}) == []


@pytest.mark.slow
def test_the_files_of_an_evaluation_with_classes(
    run_script: Callable, data_root: Path, small_settings: list[str], tmp_path: Path
) -> None:
    add_classes(data_root)
    classes = "data.classes=[consolidation, ground-glass]"
    finished = run_script("train.py", *small_settings, "--set", classes)
    assert finished.code == 0, finished.err
    run = tmp_path / "runs" / "train_config" / "seed2"
    finished = run_script("test.py", "--checkpoint", run / "best.pt", "--split=val", "--save-maps")
    assert finished.code == 0, finished.err
    out = run / "val"
    assert "Classes, pooled over pixels" in finished.out
    scores = json.loads((out / "metrics.json").read_text())
    assert scores["class_values"] == {"consolidation": 2, "ground-glass": 1}
    assert set(main_metrics()) <= scores["class_mean"].keys()
    assert sum(map(sum, scores["confusion_matrix"])) == 4 * 64 * 64
    with (out / "per_class.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["class"] for row in rows] == ["consolidation"] * 4 + ["ground-glass"] * 4
    own = [float(row["dice"]) for row in rows[:4]]
    assert np.mean(own) == pytest.approx(scores["classes"]["consolidation"]["dice"])
    for index in range(4):
        name = f"val{index // 2:02d}_z{index:03d}"
        values = set(np.unique(read_gray(out / "label" / f"{name}.png")))
        assert values <= {0, *VALUES.values()}
        assert (out / "maps" / f"{name}.png").is_file()
    counts = np.array(scores["confusion_matrix"]).sum(axis=0)
    stored = np.concatenate([read_gray(p).ravel() for p in (out / "label").glob("*.png")])
    assert [(stored == value).sum() for value in (0, 2, 1)] == counts.tolist()
    drawn = {path.name for path in (out / "figures").iterdir()}
    assert {"confusion.png", "class_maps.png", "figure_6.png", "figure_7.png"} <= drawn
    page = (out / "report.html").read_text()
    assert page.count('class="line target" data-class=') == 2
    assert (out / "confusion.csv").read_text().startswith("target,background_px,")
    chosen_by = torch.load(run / "best.pt", weights_only=True)["scores"]
    assert scores["class_mean"]["dice_pooled"] == chosen_by["class_mean"]["dice_pooled"]
    for name, own in chosen_by["classes"].items():
        assert scores["classes"][name]["dice"] == own["dice"]
