"""The slices of a page: what they hold, and how much room they take."""

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from datasets.intensity import LUNG_WINDOW, IntensityRule
from datasets.volumes.volume import Volume
from severity import browser
from severity.browser import SOFT_WINDOW, GreyScale, SliceBrowser
from severity.lungs.sides import LEFT, RIGHT


def volume_of(hu: np.ndarray) -> Volume:
    return Volume("scan", Path("scan"), hu.transpose(2, 1, 0), np.diag([-0.7, -0.7, 2.0, 1.0]))


def unpack(address: str) -> np.ndarray:
    data = np.frombuffer(base64.b64decode(address.partition(",")[2]), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)


def browse(
    hu: np.ndarray,
    label: np.ndarray,
    lung: np.ndarray | None = None,
    prob: np.ndarray | None = None,
    classes: tuple[int, ...] = (1,),
) -> list[dict[str, Any]]:
    volume = volume_of(hu)
    slices = SliceBrowser(volume, prob, classes, unit_is_hu=True)
    for index in range(len(hu)):
        lungs = None if lung is None else lung[index]
        slices.add(index, volume.read_slice(index), label[index], lungs)
    return [json.loads(text) for text in slices.texts]


@pytest.mark.parametrize(("name", "window"), [("lung", LUNG_WINDOW), ("soft tissue", SOFT_WINDOW)])
def test_both_windows_are_read_from_one_picture(name: str, window: IntensityRule) -> None:
    hu = np.arange(-1300, 400, dtype=np.float32)[None]
    scale = GreyScale(None)
    shown = np.array(scale.windows[name])[scale.levels(hu)]
    step = 1090 / 120 if name == "lung" else 410 / 135  # HU of a level
    assert np.abs(shown - window.apply(hu)).max() <= 1 + 255 * step / (window.high - window.low)


def test_a_scan_that_is_not_in_hu_has_its_own_window_alone() -> None:
    scale = GreyScale(IntensityRule("arbitrary", 0.0, 1.0))
    assert scale.windows == {"own": list(range(256))}
    assert scale.levels(np.array([[-1.0, 0.5, 2.0]])).tolist() == [[0, 128, 255]]


def test_labels_come_back_exactly_and_blank_ones_take_no_room() -> None:
    rng = np.random.default_rng(0)
    label = rng.choice(np.array([0, 1, 4], np.uint8), (2, 40, 60))
    lung = rng.choice(np.array([0, LEFT, RIGHT], np.uint8), label.shape)
    label[1] = lung[1] = 0
    first, second = browse(np.zeros(label.shape, np.int16), label, lung, classes=(1, 4))
    codes = unpack(first["labels"])
    kinds = np.searchsorted((0, 1, 4), label[0])
    np.testing.assert_array_equal(codes, 8 * (2 * kinds + (lung[0] > 0)))
    assert (first["width"], first["height"]) == (60, 40)
    assert second["labels"] == second["prob"] == ""


def test_probabilities_are_those_of_the_slice() -> None:
    prob = np.zeros((2, 64, 64), np.uint8)
    prob[1, 16:48, 16:48] = 200
    blank = np.zeros(prob.shape, np.uint8)
    first, second = browse(blank.astype(np.int16), blank, prob=prob)
    assert first["prob"] == ""
    assert np.abs(unpack(second["prob"]).astype(int) - prob[1]).mean() < 2


def test_the_smallest_lesion_is_seen_in_a_slice_that_is_made_smaller() -> None:
    label = np.zeros((1, 600, 1200), np.uint8)
    label[0, 101, 701] = 1  # 2.34 px make one: 43.1 and 299.1
    (own,) = browse(np.zeros(label.shape, np.int16), label)
    codes = unpack(own["labels"])
    assert (own["width"], own["height"]) == codes.shape[::-1] == (512, 256)
    assert np.argwhere(codes == 16).tolist() == [[43, 299]]


@pytest.mark.parametrize("num_slices", [1, 3, 60])
def test_slices_keep_to_their_room_by_quality_then_size(
    monkeypatch: pytest.MonkeyPatch, num_slices: int
) -> None:
    monkeypatch.setattr(browser, "_ROOM", 300_000)
    noise = np.random.default_rng(0).integers(-1000, 200, (num_slices, 256, 256), np.int16)
    slices = browse(noise, np.ones(noise.shape, np.uint8), prob=np.ones(noise.shape, np.uint8))
    assert sum(len(json.dumps(own)) for own in slices) <= 300_000
    widths = [own["width"] for own in slices]
    assert len(widths) == num_slices
    assert min(widths) >= 64
    assert (widths[0] == 256) == (num_slices < 60)


def test_slices_that_grow_beyond_the_samples_take_lower_rungs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(browser, "_ROOM", 300_000)
    hu = np.zeros((40, 256, 256), np.int16)
    rough = [index for index in range(40) if index not in np.linspace(0, 39, 8).round()]
    hu[rough] = np.random.default_rng(0).integers(-1000, 200, (len(rough), 256, 256))
    slices = browse(hu, np.zeros(hu.shape, np.uint8))
    assert sum(len(json.dumps(own)) for own in slices) <= 300_000
    assert slices[0]["width"] == 256
    assert slices[-2]["width"] < 256
