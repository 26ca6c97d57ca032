"""A scan measured and reported: figures, files, and what is missing said plainly."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from severity import Severity, write_severity
from severity.lungs.sides import LEFT, RIGHT
from tests.severity.chest import SHAPE, SPACING, as_volume, ellipsoid, make_chest
from utils.errors import UserError

VOXEL_ML = 5.0 * 3.0 * 3.0 / 1000
FILES = ("scan_severity.csv", "scan_severity.html", "scan_severity.json")


def report(
    folder: Path,
    hu: np.ndarray,
    mask: np.ndarray,
    lung: np.ndarray | None = None,
    *,
    unit_is_hu: bool = True,
    spacing: tuple[float, float, float] = SPACING,
    title: str = "A scan",
) -> Severity:
    volume = as_volume(hu, spacing)
    return write_severity(folder / "scan", volume, mask, lung, unit_is_hu=unit_is_hu, title=title)


def involvement(severity: Severity) -> dict[str, float | None]:
    return {region.name: region.involvement_percent for region in severity.regions}


def empty() -> np.ndarray:
    return np.zeros(SHAPE, np.uint8)


def test_volumes_counts_and_densities_are_exact(tmp_path: Path) -> None:
    chest = make_chest()
    mask = empty()
    mask[20:30, 40:50, 30:34] = 1  # 400 voxels
    mask[20:25, 40:44, 90:95] = 255  # 100 voxels
    hu = chest.hu.copy()
    hu[mask == 1], hu[mask == 255] = -600, -100
    severity = report(tmp_path, hu, mask)
    assert severity.lesion_ml == pytest.approx(500 * VOXEL_ML)
    assert severity.num_lesions == 2
    assert [lesion.volume_ml for lesion in severity.lesions] == pytest.approx(
        [400 * VOXEL_ML, 100 * VOXEL_ML]
    )
    assert [lesion.side for lesion in severity.lesions] == ["right", "left"]
    assert [lesion.mean_hu for lesion in severity.lesions] == [-600, -100]
    assert severity.mean_hu == pytest.approx(-500)
    assert severity.dense_percent == pytest.approx(20)
    assert severity.lesion_outside_ml == 0


@pytest.mark.parametrize("spacing", [(5.0, 3.0, 3.0), (8.0, 0.923, 0.7), (1.25, 2.0, 2.5)])
def test_a_millilitre_follows_the_spacing(
    tmp_path: Path, spacing: tuple[float, float, float]
) -> None:
    mask = empty()
    mask[10:14, 3:8, 50:53] = 1
    severity = report(tmp_path, empty(), mask, unit_is_hu=False, spacing=spacing)
    assert severity.lesion_ml == pytest.approx(60 * np.prod(spacing) / 1000)


def test_found_lungs_have_the_drawn_volumes_and_involvement(tmp_path: Path) -> None:
    chest = make_chest()
    upper = np.arange(SHAPE[0])[:, None, None] >= 33
    mask = ((chest.lung == RIGHT) & upper & ellipsoid((90, 0, -75), (70, 50, 30))).astype(np.uint8)
    severity = report(tmp_path, chest.hu, mask)
    names = {RIGHT: "right lung", LEFT: "left lung"}
    volumes = {region.name: region.lung_ml for region in severity.regions}
    for side, name in names.items():
        drawn = np.count_nonzero(chest.lung == side) * VOXEL_ML
        assert volumes[name] == pytest.approx(drawn, rel=0.02)
    share = 100 * mask.sum() / np.count_nonzero(chest.lung == RIGHT)
    found = involvement(severity)
    assert found["right lung"] == pytest.approx(share, rel=0.02)
    assert found["right lung, upper third"] > found["right lung"] * 2
    assert found["right lung, lower third"] == 0
    assert found["left lung"] == 0
    assert severity.lesion_outside_ml == 0
    assert severity.notes == ()


def test_dense_lungs_that_the_mask_covers_are_involved_whole(tmp_path: Path) -> None:
    chest = make_chest()
    dense = (chest.lung == LEFT) & (np.arange(SHAPE[1]) > 44)[:, None]
    hu = np.where(dense, 30, chest.hu).astype(np.int16)
    severity = report(tmp_path, hu, dense.astype(np.uint8))
    share = 100 * dense.sum() / np.count_nonzero(chest.lung == LEFT)
    assert involvement(severity)["left lung"] == pytest.approx(share, rel=0.03)
    assert severity.lesion_outside_ml < 0.03 * severity.lesion_ml


def test_given_lungs_give_exact_involvement_and_score(tmp_path: Path) -> None:
    lung = empty()
    lung[:12, 10:30, 20:40] = RIGHT
    lung[:12, 10:30, 60:80] = LEFT
    mask = empty()
    mask[0:4, 10:30, 20:21] = 1  # 5 % of the right lower third: 2 points
    mask[4:8, 10:30, 20:30] = 1  # 50 %: 4 points
    mask[8:12, 10, 20] = 1  # 0.25 %: 1 point
    mask[0:6, 10:30, 60:77] = 1  # 85 %: 5 points
    mask[0:6, 10:30, 90:91] = 1  # outside
    severity = report(tmp_path, empty(), mask, lung, unit_is_hu=False)
    assert severity.score == 12
    found = involvement(severity)
    assert found["right lung, upper third"] == pytest.approx(0.25)
    assert found["right lung, middle third"] == pytest.approx(50)
    assert found["right lung, lower third"] == pytest.approx(5)
    assert found["left lung, lower half"] == pytest.approx(85)
    assert found["left lung, upper half"] == 0
    assert severity.involvement_percent == pytest.approx(100 * (80 + 800 + 4 + 2040) / 9600)
    assert severity.lesion_outside_ml == pytest.approx(120 * VOXEL_ML)
    assert severity.mean_hu is None


@pytest.mark.parametrize("values", [{RIGHT: 2, LEFT: 1}, {RIGHT: 1, LEFT: 2}, {RIGHT: 1, LEFT: 1}])
def test_sides_of_given_lungs_are_told_by_position(tmp_path: Path, values: dict) -> None:
    drawn = make_chest().lung
    lung = np.select([drawn == side for side in values], list(values.values()), 0).astype(np.uint8)
    mask = ((drawn == RIGHT) & (np.arange(SHAPE[1]) > 60)[:, None]).astype(np.uint8)
    severity = report(tmp_path, empty(), mask, lung, unit_is_hu=False)
    found = {region.name: region for region in severity.regions}
    assert found["right lung"].lung_ml == pytest.approx(np.sum(drawn == RIGHT) * VOXEL_ML)
    assert found["right lung"].lesion_ml == severity.lesion_ml > 0
    assert ("taken from position" in severity.lungs) == (values[RIGHT] == 1 != values[LEFT])


def test_given_lungs_of_one_side_stay_one_lung(tmp_path: Path) -> None:
    drawn = make_chest(sides=(LEFT,), gap=2).lung
    severity = report(tmp_path, empty(), empty(), drawn, unit_is_hu=False)
    volumes = {region.name: region.lung_ml for region in severity.regions}
    assert volumes["right lung"] == 0
    assert volumes["left lung"] == pytest.approx(np.sum(drawn > 0) * VOXEL_ML)
    assert severity.score is None
    assert "No right lung was found" in severity.notes[0]


def test_no_lungs_are_reported_and_volumes_still_told(tmp_path: Path) -> None:
    mask = empty()
    mask[3, 4, 5] = 1
    severity = report(tmp_path, make_chest(sides=()).hu, mask)
    assert severity.lesion_ml == pytest.approx(VOXEL_ML)
    assert severity.involvement_percent is severity.score is severity.lesion_outside_ml is None
    assert severity.regions == ()
    assert "No lungs were found" in severity.lungs
    assert "No lungs were found" in (tmp_path / "scan_severity.html").read_text()


def test_grey_levels_without_lungs_give_volumes_alone(tmp_path: Path) -> None:
    mask = empty()
    mask[3, 4, 5] = 1
    grey = np.clip((make_chest().hu + 1250) * 0.17, 0, 255).astype(np.int16)
    severity = report(tmp_path, grey, mask, unit_is_hu=False)
    assert severity.involvement_percent is severity.score is severity.mean_hu is None
    assert severity.lesions[0].side is None
    assert "Hounsfield units only" in severity.lungs
    assert "Hounsfield units only" in (tmp_path / "scan_severity.html").read_text()


def test_empty_lung_masks_are_no_lungs(tmp_path: Path) -> None:
    severity = report(tmp_path, make_chest().hu, empty(), empty())
    assert severity.score is None
    assert "lung masks given with the scan are empty" in severity.lungs


def test_an_empty_mask_scores_nothing(tmp_path: Path) -> None:
    severity = report(tmp_path, make_chest().hu, empty())
    assert severity.score == severity.involvement_percent == severity.num_lesions == 0
    assert severity.mean_hu is None
    assert severity.lesion_sizes_ml == {}


def test_a_single_slice_is_measured(tmp_path: Path) -> None:
    chest = make_chest()
    mask = (chest.lung[26:27] == RIGHT).astype(np.uint8)
    severity = report(tmp_path, chest.hu[26:27], mask)
    assert involvement(severity)["right lung"] == pytest.approx(100, abs=4)
    assert severity.score is None
    assert "reach the lowest and the highest slice" in severity.notes[0]


def test_lesion_far_from_lungs_is_pointed_at(tmp_path: Path) -> None:
    mask = ellipsoid((0, 90, 0), (10, 8, 8)).astype(np.uint8)
    severity = report(tmp_path, make_chest().hu, mask)
    assert severity.lesion_outside_ml == severity.lesion_ml
    assert severity.involvement_percent == 0
    assert severity.notes[-1].startswith("100 % of the lesion volume lies outside")


def test_a_mask_of_everything_does_not_make_everything_lung(tmp_path: Path) -> None:
    chest = make_chest()
    severity = report(tmp_path, chest.hu, np.ones(SHAPE, np.uint8))
    assert severity.involvement_percent == 100
    body_ml = np.count_nonzero(chest.hu > -950) * VOXEL_ML
    assert severity.regions[0].lung_ml < body_ml
    assert severity.lesion_outside_ml > 0.3 * severity.lesion_ml
    assert "check the outlines" in severity.notes[-1]


def test_the_files_hold_the_same_figures(tmp_path: Path) -> None:
    chest = make_chest()
    mask = (ellipsoid((0, 0, -75), (50, 30, 30)) | ellipsoid((50, 0, 75), (9, 9, 9))).astype(bool)
    severity = report(tmp_path, chest.hu, mask, title="=Ünal, scan 1")
    assert sorted(path.name for path in tmp_path.iterdir()) == list(FILES)
    plain = json.loads((tmp_path / "scan_severity.json").read_text(encoding="utf-8"))
    assert plain["title"] == "=Ünal, scan 1"
    assert plain["disclaimer"] == "For research only; not a medical device."
    assert plain["score"] == severity.score
    assert "doi:10.1148/radiol.2020200370" in plain["score_source"]
    assert len(plain["lesions"]) == plain["num_lesions"] == 2
    with (tmp_path / "scan_severity.csv").open(newline="", encoding="utf-8") as stream:
        rows = {row["region"]: row for row in csv.DictReader(stream)}
    assert len(rows) == 2 + len(severity.regions) == len(plain["regions"]) + 2
    for region in severity.regions:
        assert float(rows[region.name]["lung_ml"]) == region.lung_ml
        assert float(rows[region.name]["involvement_percent"]) == region.involvement_percent
    assert int(rows["both lungs"]["points"]) == severity.score
    assert float(rows["whole scan"]["lesion_ml"]) == severity.lesion_ml
    assert (
        rows["whole scan"]["scan"] == "'=Ünal, scan 1"
    )  # quoted, so that no spreadsheet computes it


def test_a_mask_of_another_shape_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mask is"):
        report(tmp_path, empty(), empty()[1:])


def test_lungs_of_another_shape_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"chest.nii.gz: the scan is 52 x .* are 51 x 84 x 124"):
        report(tmp_path, empty(), empty(), empty()[1:])
    assert list(tmp_path.iterdir()) == []


def test_all_files_appear_or_none(tmp_path: Path) -> None:
    (tmp_path / "scan_severity.html").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        report(tmp_path, empty(), empty(), unit_is_hu=False)
    assert [path.name for path in tmp_path.iterdir()] == ["scan_severity.html"]
