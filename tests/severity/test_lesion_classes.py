"""Classes of lesion: how much there is of each, in figures, files and outlines."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from severity import write_severity
from tests.severity.chest import SHAPE, as_volume, make_chest

VOXEL_ML = 5.0 * 3.0 * 3.0 / 1000
NAMES = {1: "ground-glass", 2: "consolidation", 3: "effusion"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chest = make_chest()
    mask = np.zeros(SHAPE, np.uint8)
    mask[20:30, 40:50, 30:34] = 1  # 400 voxels in the right lung
    mask[20:25, 40:44, 90:95] = 2  # 100 in the left
    mask[20:25, 0:2, 0:5] = 2  # 50 outside of the body
    hu = chest.hu.copy()
    hu[mask == 1], hu[mask == 2] = -600, -100
    folder = tmp_path_factory.mktemp("classes")
    volume = as_volume(hu)
    for stem, names in (("several", NAMES), ("one", {1: "Lesion"})):
        write_severity(
            folder / stem, volume, mask, None, unit_is_hu=True, title=stem, class_names=names
        )
    return folder


def read(folder: Path, stem: str) -> dict:
    return json.loads((folder / f"{stem}_severity.json").read_text(encoding="utf-8"))


def test_every_class_has_its_volume_share_and_density(folder: Path) -> None:
    classes = {own["name"]: own for own in read(folder, "several")["classes"]}
    assert list(classes) == list(NAMES.values())
    glass, dense, absent = classes.values()
    assert glass["volume_ml"] == pytest.approx(400 * VOXEL_ML)
    assert dense["volume_ml"] == pytest.approx(150 * VOXEL_ML)
    assert (glass["outside_ml"], dense["outside_ml"]) == pytest.approx((0, 50 * VOXEL_ML))
    assert glass["share_percent"] == pytest.approx(100 * 400 / 550)
    assert (glass["mean_hu"], dense["mean_hu"]) == (-600, -100)
    assert absent["volume_ml"] == absent["share_percent"] == 0
    assert absent["mean_hu"] is None


def test_classes_add_up_to_the_lesion(folder: Path) -> None:
    several, one = read(folder, "several"), read(folder, "one")
    assert sum(own["volume_ml"] for own in several["classes"]) == pytest.approx(
        several["lesion_ml"]
    )
    assert one["classes"] == []
    same = set(several) - {"title", "classes"}
    assert {key: several[key] for key in same} == {key: one[key] for key in same}


def test_table_and_page_show_them(folder: Path) -> None:
    with (folder / "several_severity.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["region"]: row for row in csv.DictReader(stream)}
    assert float(rows["all consolidation"]["lesion_ml"]) == pytest.approx(150 * VOXEL_ML)
    page = (folder / "several_severity.html").read_text(encoding="utf-8")
    plain = (folder / "one_severity.html").read_text(encoding="utf-8")
    assert "Classes of lesion" in page
    assert "Classes of lesion" not in plain
    # An outline per class and slice, where there was one for all.
    assert page.count('<path class="lesion"') == 3 * plain.count('<path class="lesion"')
