"""MosMedData in miniature: many studies, few masks, two ways of nesting."""

from pathlib import Path

import numpy as np
import pytest
from nifti_files import labels, pack, read, scan, stacked, write_nifti

from datasets.intensity import LUNG_WINDOW
from datasets.sources.file_tree import FileTree
from datasets.sources.mosmed import SOURCE
from utils.errors import UserError

CLASSES = labels(1)
STUDIES = {"CT-0": [1, 2], "CT-1": [254, 255, 256, 304], "CT-4": [1110]}
LABELLED = [255, 256, 304]


def make(root: Path, parent: str = "studies") -> Path:
    for category, numbers in STUDIES.items():
        for number in numbers:
            path = root / parent / category / f"study_{number:04d}.nii.gz"
            write_nifti(path, scan(number), "LAS")
    for number in LABELLED:
        write_nifti(root / "masks" / f"study_{number:04d}_mask.nii.gz", CLASSES, "LAS")
    (root / "dataset_registry.csv").write_text("study_id,category\n", encoding="utf-8-sig")
    return root


@pytest.mark.parametrize("parent", ["studies", "."])
@pytest.mark.parametrize("packed", [False, True])
def test_the_studies_with_masks_are_the_cases(packed: bool, parent: str, tmp_path: Path) -> None:
    root = make(tmp_path / "COVID19_1110", parent)
    if packed:
        root = pack(tmp_path / "COVID19_1110.zip", root, top="COVID19_1110")
    cases = SOURCE.find_cases(FileTree(root))
    assert [case.name for case in cases] == ["study_0255", "study_0256", "study_0304"]
    for number, case in zip(LABELLED, cases, strict=True):
        assert case.patient == case.name
        slices = read(case)
        pixels = stacked(slices, "image")
        np.testing.assert_array_equal(pixels, LUNG_WINDOW.apply(scan(number)))
        np.testing.assert_array_equal(stacked(slices, "label"), CLASSES)
        assert slices[0].lung is None
        assert case.spacing() == pytest.approx((0.8, 0.7, 5.0))


def test_a_mask_without_its_study_is_named(tmp_path: Path) -> None:
    (make(tmp_path) / "studies" / "CT-1" / "study_0256.nii.gz").unlink()
    with pytest.raises(UserError, match=r"^no image for \S+masks/study_0256_mask\.nii\.gz: add"):
        SOURCE.find_cases(FileTree(tmp_path))


def test_a_download_without_masks_is_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "CT-0" / "study_0001.nii.gz", scan())
    with pytest.raises(UserError, match=r"no case found, but studies/CT-0/study_0001\S+ expected"):
        SOURCE.find_cases(FileTree(tmp_path))


def test_a_study_in_two_places_is_named(tmp_path: Path) -> None:
    make(tmp_path)
    write_nifti(tmp_path / "CT-1" / "study_0255.nii.gz", scan())
    with pytest.raises(UserError, match=r"studies/\S+study_0255\.nii\.gz: \S+ is the same case"):
        SOURCE.find_cases(FileTree(tmp_path))


def test_the_licence_forbids_passing_slices_on() -> None:
    assert "ND" in SOURCE.facts.licence
    assert SOURCE.downloads == ()
