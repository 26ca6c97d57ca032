"""What is cut out of a slice: body or lungs, with a margin, and the way back."""

from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.crop import BODY, LUNGS, Box, find_box
from datasets.inspection import inspect_slices
from datasets.pairing import find_slices
from datasets.slices import SliceDataset
from datasets.transforms import SliceTransform
from tests.cropped_slices import (
    BODY_COLUMNS,
    BODY_ROWS,
    LUNG_COLUMNS,
    LUNG_ROWS,
    SHAPE,
    draw_chest,
    write_chests,
)
from training.prediction import resize_prob, resize_probs


def chest() -> dict[str, np.ndarray]:
    return draw_chest(np.random.default_rng(0))


def grown(rows: tuple[int, int], columns: tuple[int, int], margin: float) -> Box:
    height, width = rows[1] - rows[0], columns[1] - columns[0]
    more, beside = round(margin * height), round(margin * width)
    return Box(rows[0] - more, columns[0] - beside, height + 2 * more, width + 2 * beside)


def test_the_body_is_found_without_couch_and_air() -> None:
    assert find_box(BODY, chest()["image"]) == grown(BODY_ROWS, BODY_COLUMNS, 0.02)


def test_a_slice_that_is_cut_close_keeps_its_chest_walls() -> None:
    levels = np.full(SHAPE, 20, np.uint8)
    levels[:, 30:50] = 200  # mediastinum, from edge to edge
    levels[20:70, :4] = levels[20:70, -4:] = 200  # a tenth of it each
    assert find_box(BODY, levels) == Box(0, 0, *SHAPE)


def test_the_lungs_are_those_that_are_marked() -> None:
    box = find_box(LUNGS, chest()["image"], chest()["lung"] * 255)
    assert box == grown(LUNG_ROWS, LUNG_COLUMNS, 0.05)


@pytest.mark.parametrize("lung", [None, np.zeros(SHAPE, np.uint8)], ids=["none", "empty"])
def test_without_lungs_it_is_the_body(lung: np.ndarray | None) -> None:
    assert find_box(LUNGS, chest()["image"], lung) == find_box(BODY, chest()["image"])


def test_16_bits_give_the_box_of_8() -> None:
    levels = chest()["image"].astype(np.uint16) * 257
    assert find_box(BODY, levels) == find_box(BODY, chest()["image"])


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_slice_without_a_body_stays_whole(level: int) -> None:
    levels = np.full(SHAPE, level, np.uint8)
    assert find_box(BODY, levels) == Box(0, 0, *SHAPE)
    levels[3:6, 3:6] = 128  # too small to be one
    assert find_box(BODY, levels) == Box(0, 0, *SHAPE)


def test_a_margin_ends_with_the_slice() -> None:
    levels = np.zeros(SHAPE, np.uint8)
    levels[:, 1:79] = 200
    assert find_box(BODY, levels) == Box(0, 0, *SHAPE)


def test_a_data_set_yields_the_box_of_every_slice_and_what_is_in_it(tmp_path: Path) -> None:
    slices = find_slices(write_chests(tmp_path, {"train": 3}), "train")
    encoding = inspect_slices(slices).encoding
    whole = SliceDataset(slices, encoding, SliceTransform(SHAPE), 2)
    for crop in (BODY, LUNGS):
        box_size = (44, 56) if crop == BODY else (26, 42)
        cut = SliceDataset(slices, encoding, SliceTransform(box_size, crop=crop), 2)
        for index in range(3):
            image, _ = cut.original(index)
            box = Box(*cut[index]["box"].tolist())
            assert box == find_box(crop, image, cut.original_lung(index).astype(np.uint8))
            size = (box.height, box.width)
            item = SliceDataset(slices, encoding, SliceTransform(size, crop=crop), 2)[index]
            for key in ("mask", "lung"):
                assert torch.equal(item[key], box.of(whole[index][key])), key
            levels = torch.from_numpy(box.of(image).astype(np.float32))
            expected = (levels - levels.mean()) / levels.std(correction=0)
            torch.testing.assert_close(item["image"][0], expected)


def test_without_a_crop_there_is_no_box(tmp_path: Path) -> None:
    slices = find_slices(write_chests(tmp_path, {"train": 1}), "train")
    encoding = inspect_slices(slices).encoding
    assert "box" not in SliceDataset(slices, encoding, SliceTransform(SHAPE), 2)[0]


def test_probabilities_go_back_to_their_place() -> None:
    box, prob = Box(2, 3, 4, 6), torch.rand(4, 6)
    whole = resize_prob(prob, (10, 12), box)
    assert torch.equal(box.of(whole), prob)
    assert whole.sum() == pytest.approx(prob.sum().item())
    finer = resize_prob(torch.rand(8, 3), (10, 12), box)
    assert (finer > 0).sum() == 24


def test_outside_of_the_box_all_is_background() -> None:
    box = Box(1, 1, 3, 3)
    classes = torch.softmax(torch.randn(3, 3, 3), 0)
    whole = resize_probs(classes, (5, 5), box)
    torch.testing.assert_close(whole.sum(0), torch.ones(5, 5))
    assert whole[:, 0, 0].tolist() == [1, 0, 0]
    assert resize_probs(classes[:1], (5, 5), box)[0, 0, 0] == 0
