"""prepare.py few-labels: who keeps labels, what the pool is, and whom it refuses."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest

from datasets.card import DataCard, SourceFacts, read_card, write_card
from datasets.intensity import IntensityRule
from datasets.pairing import find_unlabelled
from preparation.checks.folder import check_folder
from tests.conftest import write_slices
from tests.dicom_files import write_series


def names(folder: Path) -> set[str]:
    return {path.stem for path in folder.iterdir()}


@pytest.fixture
def deal(run_script: Callable, data_root: Path, tmp_path: Path) -> Callable:
    """The command on the small data folder: 4 patients of 2 slices in train."""

    def run(*arguments: str | Path, out: str = "few") -> object:
        places = ["--from", data_root, "--out", tmp_path / out]
        return run_script("prepare.py", "few-labels", *places, *arguments)

    return run


def test_patients_keep_their_masks_and_the_rest_is_a_pool_without(
    deal: Callable, data_root: Path, tmp_path: Path
) -> None:
    finished = deal("--patients", "2", "--seed", "3")
    assert finished.code == 0, finished.err
    few = tmp_path / "few"
    train, pool = names(few / "train" / "image"), names(few / "unlabelled" / "image")
    assert train == names(few / "train" / "mask")
    assert train | pool == names(data_root / "train" / "image")
    assert len({name[:7] for name in train}) == len({name[:7] for name in pool}) == 2
    assert not train & pool
    assert names(few / "unlabelled") == {"image"}
    assert names(few / "hidden" / "mask") == pool
    for split in ("val", "test"):
        for kind in ("image", "mask"):
            for path in (data_root / split / kind).iterdir():
                assert (few / split / kind / path.name).read_bytes() == path.read_bytes()
    with (few / "manifest.csv").open() as stream:
        rows = {(row["split"], row["file"][:-4]) for row in csv.DictReader(stream)}
    assert {name for split, name in rows if split == "unlabelled"} == pool
    assert json.loads((few / "splits.json").read_text())["train"] == sorted({n[:7] for n in train})
    assert [entry.name for entry in find_unlabelled(few)] == sorted(pool)
    assert check_folder(few) == []


def test_more_labels_of_the_same_seed_are_those_and_more(deal: Callable, tmp_path: Path) -> None:
    for number in (2, 3, 5):
        assert deal("--slices", str(number), out=f"few{number}").code == 0
    two, three, five = (names(tmp_path / f"few{n}" / "train" / "image") for n in (2, 3, 5))
    assert len(two) == 2
    assert two < three < five
    assert deal("--slices", "2", "--seed", "1", out="other").code == 0
    assert names(tmp_path / "other" / "train" / "image") != two


def test_pools_join_the_rest(deal: Callable, tmp_path: Path) -> None:
    write_slices(tmp_path / "more", "unlabelled", 4, seed=11)
    shutil.rmtree(tmp_path / "more" / "unlabelled" / "mask")
    write_slices(tmp_path / "labelled", "train", 2, seed=12)
    for path in (tmp_path / "labelled" / "train").rglob("*.png"):
        path.rename(path.with_name(path.name.replace("train", "else")))
    pools = [tmp_path / "more", tmp_path / "labelled"]
    finished = deal("--patients", "4", "--pool", *pools)
    assert finished.code == 0, finished.err
    assert names(tmp_path / "few" / "unlabelled" / "image") == {
        *names(tmp_path / "more" / "unlabelled" / "image"), "else00_z000", "else00_z001"
    }  # fmt: skip
    assert names(tmp_path / "few" / "hidden" / "mask") == {"else00_z000", "else00_z001"}


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--patients", "4"), ("--patients 4", "--pool")),
        (("--patients", "5"), ("train has 4 patients",)),
        (("--slices", "9"), ("train has 8 slices",)),
        (("--patients", "2", "--seed", "-1"), ("--seed",)),
        (("--patients", "2", "--pool", "nowhere"), ("--pool nowhere", "no images")),
    ],
)
def test_what_cannot_be_dealt_is_refused(
    arguments: tuple[str, ...],
    parts: tuple[str, ...],
    deal: Callable,
    refused: Callable,
    tmp_path: Path,
) -> None:
    refused(deal(*arguments), *parts)
    assert not (tmp_path / "few").exists()


def test_labels_without_a_lesion_are_refused(
    deal: Callable, data_root: Path, refused: Callable
) -> None:
    for path in (data_root / "train" / "mask").iterdir():
        cv2.imwrite(str(path), np.zeros((64, 64), np.uint8))
    refused(deal("--slices", "3"), "--slices 3", "lesion", "--seed")


def test_a_pool_with_a_patient_of_test_is_refused_by_name(
    deal: Callable, data_root: Path, refused: Callable
) -> None:
    refused(deal("--patients", "2", "--pool", data_root / "test"), "2 patients", "test00 in test")


@pytest.mark.parametrize("change", ["brighter", "flipped"])
def test_a_near_duplicate_of_val_in_the_pool_is_refused_by_name(
    change: str, deal: Callable, data_root: Path, tmp_path: Path, refused: Callable
) -> None:
    image = cv2.imread(str(data_root / "val" / "image" / "val00_z000.png"), -1)
    changed = image[:, ::-1] if change == "flipped" else cv2.convertScaleAbs(image, alpha=1.1)
    (tmp_path / "more").mkdir()
    cv2.imwrite(str(tmp_path / "more" / "stranger_z001.png"), changed)
    finished = deal("--patients", "2", "--pool", tmp_path / "more")
    refused(finished, "near-duplicate", "stranger_z001 = val/val00_z000")


def test_a_pool_of_another_kind_is_refused_with_both(
    deal: Callable, data_root: Path, tmp_path: Path, refused: Callable
) -> None:
    more = tmp_path / "more"
    write_slices(more, "unlabelled", 2, seed=11)
    facts = (SourceFacts("x", "X", "none", ""),)
    lung, wide = IntensityRule("HU", -1250.0, 250.0), IntensityRule("HU", -1000.0, 400.0)
    write_card(data_root, DataCard(facts, lung, 8, {1: "lesion"}))
    write_card(more, DataCard(facts, wide, 8, {}))
    pool = ["--patients", "2", "--pool", more]
    refused(deal(*pool), "HU from -1000 to 400", "HU from -1250 to 250")
    write_card(more, DataCard(facts, lung, 8, {}, "DX"))
    refused(deal(*pool), "DX", "CT")
    write_card(more, DataCard(facts, lung, 8, {}))
    write_slices(more, "unlabelled", 2, size=48, seed=11)
    refused(deal(*pool), "48 x 48 px", "64 x 64 px")
    write_slices(more, "unlabelled", 2, seed=11)
    assert deal(*pool).code == 0


def test_scans_and_images_without_masks_become_a_pool(
    run_script: Callable, tmp_path: Path, refused: Callable
) -> None:
    (tmp_path / "scans").mkdir()
    voxels = np.random.default_rng(0).uniform(-1000, 200, (32, 32, 3)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "scans" / "case7.nii.gz")
    write_slices(tmp_path / "images", "more", 2)
    shutil.rmtree(tmp_path / "images" / "more" / "mask")
    found = {}
    for kind in ("scans", "images"):
        places = ["--from", tmp_path / kind, "--out", tmp_path / f"{kind}_pool"]
        finished = run_script("prepare.py", "generic", *places, "--unlabelled")
        assert finished.code == 0, finished.err
        found[kind] = find_unlabelled(tmp_path / f"{kind}_pool")
        assert not (tmp_path / f"{kind}_pool" / "train").exists()
    assert [entry.patient for entry in found["scans"]] == ["case7"] * 3
    assert [entry.name for entry in found["images"]] == ["more00_z000", "more00_z001"]
    places = ["--from", tmp_path / "images", "--out", tmp_path / "x", "--unlabelled"]
    refused(run_script("prepare.py", "generic", *places, "--labels", "1=1"), "--labels")


def test_dicom_series_become_a_pool_by_their_patients(
    run_script: Callable, tmp_path: Path, refused: Callable
) -> None:
    voxels = np.random.default_rng(0).integers(-1000, 200, (4, 32, 32)).astype(np.float32)
    write_series(tmp_path / "disk" / "a", voxels, patient="P7", seed="a")
    write_series(tmp_path / "disk" / "b", voxels[::-1], patient=None, number=3, seed="b")
    pool = tmp_path / "pool"
    command = ["prepare.py", "generic", "--from", tmp_path / "disk", "--unlabelled"]
    finished = run_script(*command, "--out", pool)
    assert finished.code == 0, finished.err
    found = find_unlabelled(pool)
    assert len(found) == 8
    assert len({entry.patient for entry in found}) == 2
    assert "P7" in {entry.patient for entry in found}
    assert read_card(pool).intensity == IntensityRule("HU", -1250.0, 250.0)
    image = cv2.imread(str(found[0].image), -1)
    assert np.abs(image - (voxels[0] + 1250) / 1500 * 255).max() <= 1
    (tmp_path / "disk" / "a" / "IM0001").unlink()  # a slice is missing now
    refused(run_script(*command, "--out", tmp_path / "y"), "disk/a")
    assert not (tmp_path / "y").exists()
