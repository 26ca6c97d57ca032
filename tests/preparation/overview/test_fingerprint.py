import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from datasets.stored import map_ahead
from preparation.overview import take_fingerprint
from preparation.overview.fingerprint import to_json
from preparation.overview.grey_levels import GREY_PERCENTILES
from tests.preparation.overview.conftest import SHAPE, images, labels, lung
from utils.errors import UserError


@pytest.fixture
def parts(folder: Path) -> dict[str, Any]:
    return take_fingerprint(folder).to_plain()["parts"]


def test_slices_patients_cases_and_lesions_are_counted_by_split_and_in_all(
    parts: dict[str, Any],
) -> None:
    keys = ("num_slices", "num_patients", "num_cases", "num_with_lesion", "num_with_lung")
    counts = {name: tuple(part[key] for key in keys) for name, part in parts.items()}
    assert counts == {"all": (4, 3, 4, 3, 3), "train": (3, 2, 3, 2, 3), "val": (1, 1, 1, 1, 0)}
    assert parts["all"]["num_without_lesion"] == 1
    assert parts["all"]["slices_per_source"] == {"drawn": 4}
    assert parts["train"]["slices_per_size"] == {"40x64": 3}
    # 50 + 28 + 100 px of 4 slices
    assert parts["all"]["lesion_share_of_px"] == pytest.approx(178 / (4 * 40 * 64), rel=1e-5)


def test_areas_are_given_in_px_mm2_and_as_a_share_of_the_lung(parts: dict[str, Any]) -> None:
    whole, train = parts["all"]["lesion_area"], parts["train"]["lesion_area"]
    assert (whole["px"]["0"], whole["px"]["50"], whole["px"]["100"]) == (28, 50, 100)
    # a px of 0.5 x 0.8 mm has 0.4 mm2; c has no spacing
    assert (whole["mm2"]["0"], whole["mm2"]["100"]) == (pytest.approx(11.2), pytest.approx(20))
    # the 8 px outside of the lung count as lung, too
    assert train["lung_share"]["0"] == pytest.approx(28 / (40 * 48 + 8), rel=1e-5)
    assert train["lung_share"]["100"] == pytest.approx(50 / (40 * 48), rel=1e-5)
    assert parts["val"]["lesion_area"]["lung_share"] is None


def test_px_that_touch_by_a_corner_are_one_component(parts: dict[str, Any]) -> None:
    components = parts["all"]["components"]
    assert components["slices_per_number"] == {"0": 1, "1": 2, "2": 1}
    assert (components["px"]["0"], components["px"]["50"]) == (8, 35)  # of 8, 20, 50, 100


def test_classes_are_counted_in_px_and_slices(parts: dict[str, Any]) -> None:
    classes = parts["all"]["classes"]
    assert [classes[value]["px"] for value in "123"] == [68, 110, 0]
    assert [classes[value]["num_slices"] for value in "123"] == [2, 2, 0]
    assert classes["2"]["name"] == "worth $5_"
    assert classes["2"]["lesion_share"] == pytest.approx(110 / 178, rel=1e-5)
    assert parts["val"]["classes"]["1"]["num_slices"] == 0


def test_spacing_has_the_distance_of_slices_and_says_of_how_many(parts: dict[str, Any]) -> None:
    expected = {"num_slices": 3, "min": 0.8, "median": 0.8, "max": 0.8}
    assert parts["all"]["spacing_mm"]["width"] == expected
    assert parts["all"]["spacing_mm"]["slice_distance"]["max"] == 5
    assert parts["val"]["spacing_mm"] is None


def test_grey_percentiles_are_those_of_the_pixels_of_each_region(parts: dict[str, Any]) -> None:
    drawn = images()
    regions = {
        "all": [drawn[name].ravel() for name in drawn],
        "lung": [drawn[name][(lung() > 0) & (labels()[name] == 0)] for name in list(drawn)[:3]],
        "lesion": [drawn[name][label > 0] for name, label in labels().items()],
    }
    for region, pixels in regions.items():
        values, found = np.concatenate(pixels), parts["all"]["grey_levels"][region]
        expected = np.percentile(values, GREY_PERCENTILES, method="inverted_cdf").astype(int)
        assert list(found["percentiles"].values()) == expected.tolist()
        assert found["num_px"] == values.size
        assert found["histogram"] == np.bincount(values, minlength=256).tolist()
        assert found["share_at_highest"] == pytest.approx((values == 255).mean(), abs=1e-6)
        # 1020 HU over 255 levels: 4 HU each
        assert list(found["percentiles_hu"].values()) == (4 * expected - 1000).tolist()
    assert parts["val"]["grey_levels"]["lung"] is None


def test_16_bit_images_keep_their_levels_and_8_bit_ones_are_put_on_their_scale(
    folder: Path,
) -> None:
    deep = np.random.default_rng(5).integers(0, 65536, SHAPE, np.uint16)
    cv2.imwrite(str(folder / "val/image/c_z000.png"), deep)
    plain = take_fingerprint(folder).to_plain()
    levels = plain["parts"]["val"]["grey_levels"]["all"]
    expected = np.percentile(deep, GREY_PERCENTILES, method="inverted_cdf")
    assert plain["bits"] == 16
    assert list(levels["percentiles"].values()) == expected.tolist()
    assert levels["histogram"] == np.bincount(deep.ravel() >> 8, minlength=256).tolist()
    shallow = np.concatenate([drawn.ravel() for drawn in list(images().values())[:3]])
    median = plain["parts"]["train"]["grey_levels"]["all"]["percentiles"]["50"]
    assert median == 257 * int(np.percentile(shallow, 50, method="inverted_cdf"))


def test_position_is_the_mean_over_the_slices_with_lesion(folder: Path) -> None:
    lesions = [label > 0 for label in labels().values() if label.any()]
    mean = np.mean(lesions, axis=0, dtype=np.float32)
    position = take_fingerprint(folder).position
    assert position.shape == (64, 64)
    assert position.mean() == pytest.approx(mean.mean(), rel=0.05)
    assert position[4, 44] == pytest.approx(1 / 3)  # within the 100 px of c alone
    assert position[:, :8].max() > 0
    assert position[50:, 8:].max() == 0


def test_patients_have_a_record_in_every_split_they_stand_in(folder: Path) -> None:
    for kind in ("image", "mask", "label"):
        shutil.copy(folder / f"train/{kind}/a_z001.png", folder / f"val/{kind}/a_z001.png")
    with (folder / "manifest.csv").open("a", newline="") as stream:
        csv.writer(stream).writerow(["a_z001.png", "val", "a", "a1", "drawn", 1])
    records = take_fingerprint(folder).to_plain()["patients"]
    assert [(record["split"], record["patient"]) for record in records] == [
        ("train", "a"), ("train", "b"), ("val", "a"), ("val", "c"),
    ]  # fmt: skip
    assert (records[0]["num_slices"], records[0]["num_with_lesion"]) == (2, 1)
    assert records[0]["lung_share"] == pytest.approx(50 / (2 * 40 * 48), rel=1e-5)
    assert records[3]["lung_share"] is None


def test_a_folder_of_images_and_masks_alone_gives_what_is_known(folder: Path) -> None:
    for path in (folder / "manifest.csv", folder / "dataset.json"):
        path.unlink()
    for split, kind in (("train", "label"), ("train", "lung"), ("val", "label")):
        shutil.rmtree(folder / split / kind)
    plain = take_fingerprint(folder).to_plain()
    whole = plain["parts"]["all"]
    assert (plain["title"], plain["labels"]) == ("drawn", {})
    assert (whole["num_patients"], whole["num_cases"]) == (3, 3)
    assert whole["slices_per_source"] == {"unknown": 4}
    assert (whole["spacing_mm"], whole["lesion_area"]["mm2"]) == (None, None)
    assert "percentiles_hu" not in whole["grey_levels"]["all"]
    assert whole["lesion_area"]["px"]["100"] == 100


def test_images_without_labels_are_only_counted(folder: Path) -> None:
    shutil.copytree(folder / "train/image", folder / "unlabelled/image")
    plain = take_fingerprint(folder).to_plain()
    assert plain["num_unlabelled"] == 3
    assert plain["parts"]["all"]["num_slices"] == 4


def test_the_json_is_strict_and_has_its_lists_on_one_line(folder: Path) -> None:
    text = to_json(take_fingerprint(folder))

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(text, parse_constant=refuse) == take_fingerprint(folder).to_plain()
    assert max(len(line.split(",")) for line in text.splitlines()) >= 256
    assert len(text.splitlines()) < 900


def test_a_class_that_the_card_does_not_name_is_named_by_its_number(folder: Path) -> None:
    label = labels()["c_z000"] // 2 * 7
    cv2.imwrite(str(folder / "val/label/c_z000.png"), label)
    assert take_fingerprint(folder).labels[7] == "class 7"


def test_a_folder_without_a_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no data folder"):
        take_fingerprint(tmp_path)


def test_a_label_of_another_size_is_named(folder: Path) -> None:
    cv2.imwrite(str(folder / "val/label/c_z000.png"), np.zeros((3, 4), np.uint8))
    with pytest.raises(UserError, match=r"label.c_z000.png: 3 x 4 px, but .* 40 x 64 px"):
        take_fingerprint(folder)


def test_a_damaged_image_is_named(folder: Path) -> None:
    path = folder / "train/image/b_z000.png"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"b_z000.png: a truncated"):
        take_fingerprint(folder)


def test_a_pass_takes_only_a_few_items_ahead_and_keeps_their_order() -> None:
    taken = []

    def items() -> Iterator[int]:
        for index in range(500):
            taken.append(index)
            yield index

    for index, result in enumerate(map_ahead(lambda item: item, items())):
        assert result == index
        assert len(taken) <= index + 40
