"""MedSeg's 9 volumes in miniature, packed and unpacked."""

from pathlib import Path

import numpy as np
import pytest
from nifti_files import labels, pack, read, scan, stacked, write_nifti

from datasets.intensity import LUNG_WINDOW
from datasets.sources.file_tree import FileTree
from datasets.sources.medseg_volumes import SOURCE
from utils.errors import UserError

CLASSES = labels(1, 2, 3)
LUNGS = labels(1, seed=4)


def make(root: Path, suffix: str = ".nii.gz", *, packed: bool = False) -> Path:
    for number in range(1, 10):
        write_nifti(root / "rp_im" / f"{number}{suffix}", scan(number), "RAS")
        write_nifti(root / "rp_msk" / f"{number}{suffix}", CLASSES, "RAS")
        write_nifti(root / "rp_lung_msk" / f"{number}{suffix}", LUNGS, "RAS")
    for folder in ("rp_im", "rp_msk", "rp_lung_msk"):
        if packed:
            pack(root / f"{folder}.zip", root / folder, top=folder)
    return root


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("packed", [False, True])
def test_nine_volumes_are_read_with_three_classes_and_lungs(
    packed: bool, suffix: str, tmp_path: Path
) -> None:
    cases = SOURCE.find_cases(FileTree(make(tmp_path, suffix, packed=packed)))
    assert [case.name for case in cases] == [f"medseg9_{number}" for number in range(1, 10)]
    assert len({case.patient for case in cases}) == 9
    for number, case in enumerate(cases, start=1):
        slices = read(case)
        pixels = stacked(slices, "image")
        np.testing.assert_array_equal(pixels, LUNG_WINDOW.apply(scan(number)))
        np.testing.assert_array_equal(stacked(slices, "label"), CLASSES)
        np.testing.assert_array_equal(stacked(slices, "lung"), LUNGS > 0)
        assert case.spacing() == pytest.approx((0.8, 0.7, 5.0))
    assert sorted(SOURCE.labels) == [1, 2, 3]


def test_volumes_that_are_not_numbered_are_passed_over(tmp_path: Path) -> None:
    make(tmp_path)
    write_nifti(tmp_path / "rp_im" / "tr_im.nii.gz", scan())
    assert len(SOURCE.find_cases(FileTree(tmp_path))) == 9


def test_a_missing_mask_is_named(tmp_path: Path) -> None:
    (make(tmp_path) / "rp_msk" / "7.nii.gz").unlink()
    with pytest.raises(UserError, match=r"^no mask for \S+rp_im/7\.nii\.gz: add"):
        SOURCE.find_cases(FileTree(tmp_path))


def test_a_missing_scan_is_named_with_both_of_its_masks(tmp_path: Path) -> None:
    (make(tmp_path) / "rp_im" / "7.nii.gz").unlink()
    with pytest.raises(UserError, match=r"image for \S+msk/7\.\S+; no image for \S+lung_msk/7\."):
        SOURCE.find_cases(FileTree(tmp_path))


def test_an_empty_folder_is_refused_with_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no case found, but no file; expected rp_im\.zip"):
        SOURCE.find_cases(FileTree(tmp_path))


def test_a_class_beyond_three_is_refused(tmp_path: Path) -> None:
    write_nifti(make(tmp_path) / "rp_msk" / "1.nii.gz", labels(4), "RAS")
    case = SOURCE.find_cases(FileTree(tmp_path))[0]
    with pytest.raises(UserError, match=r"rp_msk/1\.nii\.gz: slice \d holds the label 4, not one"):
        read(case)
