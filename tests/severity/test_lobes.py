"""The score of real lobes, where a map of them is given."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from saved_network import save_network

from inference.model import open_model
from inference.segment import segment
from severity import write_severity
from severity.lungs.lobes import GivenLobes
from tests.severity.chest import SHAPE, SPACING, as_volume, make_chest
from utils.errors import UserError

CHEST = make_chest()


def draw_lobes() -> np.ndarray:
    """Oblique lobes of both lungs, numbered from 1 as common tools do."""
    height, depth = np.arange(SHAPE[0])[:, None, None], np.arange(SHAPE[1])[None, :, None]
    slope = height - 0.3 * depth
    left, right = CHEST.lung == 1, CHEST.lung == 2
    lobes = np.zeros(SHAPE, np.uint8)
    lobes[left & (slope >= 14)], lobes[left & (slope < 14)] = 1, 2
    lobes[right & (slope >= 20)], lobes[right & (slope < 8)] = 3, 5
    lobes[right & (lobes == 0)] = 4
    return lobes


LOBES = draw_lobes()


def draw_lesion() -> np.ndarray:
    """None in the left upper lobe, 1 of 10, 1 of 3, 2 of 3 and all voxels in the others."""
    lesion = np.zeros(SHAPE, np.uint8)
    for lobe, (num, of) in {2: (1, 10), 3: (1, 3), 4: (2, 3), 5: (1, 1)}.items():
        places = np.flatnonzero(lobe == LOBES)
        lesion.ravel()[places[np.arange(len(places)) % of < num]] = 1
    return lesion


@pytest.mark.parametrize("first", [1, 10])
def test_the_score_is_that_of_the_lobes_given(first: int, tmp_path: Path) -> None:
    lobes = np.where(LOBES > 0, LOBES + (first - 1), 0).astype(np.uint8)
    facts = {"unit_is_hu": True, "title": "A scan"}
    found = write_severity(
        tmp_path / "scan", as_volume(CHEST.hu), draw_lesion(), GivenLobes(lobes), **facts
    )
    scored = {one.name: one.points for one in found.regions if one.points is not None}
    assert scored == {
        "right lung, upper lobe": 3,  # a third
        "right lung, middle lobe": 4,  # two thirds
        "right lung, lower lobe": 5,
        "left lung, upper lobe": 0,
        "left lung, lower lobe": 2,  # a tenth
    }
    assert found.score == 14
    middle = next(one for one in found.regions if one.name == "right lung, middle lobe")
    assert middle.lung_ml == pytest.approx((LOBES == 4).sum() * np.prod(SPACING) / 1000)
    page = (tmp_path / "scan_severity.html").read_text()
    assert "those of the lobe map" in page
    assert "five lobes, approximated" not in page
    assert found.lungs.startswith("Lungs and lobes are those of the lobe map")


def test_a_lobe_that_the_map_lacks_leaves_no_score(tmp_path: Path) -> None:
    lobes = np.where(LOBES == 4, 0, LOBES)
    facts = {"unit_is_hu": True, "title": "A scan"}
    found = write_severity(
        tmp_path / "scan", as_volume(CHEST.hu), draw_lesion(), GivenLobes(lobes), **facts
    )
    assert found.score is None


@pytest.mark.parametrize(
    ("values", "listed"), [((0,), "0 alone"), ((1, 6), "1, 6"), ((5, 10), "5, 10"), ((255,), "255")]
)
def test_other_values_are_no_lobe_map(values: tuple[int, ...], listed: str) -> None:
    lobes = np.zeros((4, 5, 6), np.uint8)
    lobes.ravel()[: len(values)] = values
    with pytest.raises(ValueError, match=f"has the values {listed}; a lobe map has 1 to 5"):
        GivenLobes(lobes)


def test_predict_and_the_python_call_take_them(
    tmp_path: Path, run_script: Callable, refused: Callable
) -> None:
    best = save_network(tmp_path / "small" / "seed2" / "best.pt")
    affine = np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1])
    for name, values in {"scan": CHEST.hu, "scan_lobes": LOBES, "other": CHEST.lung * 7}.items():
        nib.save(nib.Nifti1Image(values.transpose(2, 1, 0), affine), tmp_path / f"{name}.nii.gz")
    scan, lobes, other = (tmp_path / f"{n}.nii.gz" for n in ("scan", "scan_lobes", "other"))
    common = ["--checkpoint", best, "--out", tmp_path / "out", "--input", scan]
    refused(run_script("predict.py", *common, "--lobes", other), "other.nii.gz", "7, 14")
    refused(run_script("predict.py", *common, "--lobes", tmp_path / "no"), "--lobes", "no such")
    refused(run_script("predict.py", *common, "--lobes", lobes, "--lung", lobes), "exclude")
    assert not (tmp_path / "out").exists()
    finished = run_script("predict.py", *common, "--lobes", lobes)
    assert finished.code == 0, finished.err
    told = json.loads((tmp_path / "out" / "scan_severity.json").read_text())
    found = segment(CHEST.hu, SPACING, model=open_model(best), lobes=LOBES)
    assert told["score"] == found.severity.score
    named = {one["name"]: one["lesion_ml"] for one in told["regions"]}
    assert named["left lung, lower lobe"] == pytest.approx(
        found.mask[LOBES == 2].sum() * np.prod(SPACING) / 1000
    )
    with pytest.raises(UserError, match="lobes: has the values"):
        segment(CHEST.hu, SPACING, model=open_model(best), lobes=LOBES + 3)
