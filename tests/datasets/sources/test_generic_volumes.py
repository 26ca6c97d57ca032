"""Folders of a user's own: pairs of NIfTI volumes."""

from pathlib import Path

import numpy as np
import pytest
from generic_cases import cases_of, refusal, write_pair
from image_files import grey, write, zip_folder
from nifti_files import labels, scan, stacked, write_nifti

from datasets.intensity import LUNG_WINDOW, UNIT_RANGE, IntensityRule
from datasets.sources.file_tree import FileTree
from datasets.sources.generic import GenericOptions, generic_source
from utils.errors import UserError


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("image", "mask", "name"),
    [
        ("image/p7.nii.gz", "label/p7.nii.gz", "p7"),
        ("imagesTr/p7_0000.nii.gz", "labelsTr/p7.nii.gz", "p7"),
        ("Train/vol-3_ct.nii.gz", "Train/vol-3_seg.nii.gz", "vol-3"),
        ("scan_s2.nii", "scan_s2_mask.nii", "scan_s2"),
    ],
)
@pytest.mark.parametrize("white", [1, 255])
def test_volumes_are_windowed_and_turned(
    image: str, mask: str, name: str, packed: bool, white: int, tmp_path: Path
) -> None:
    root = tmp_path / "set"
    write_nifti(root / image, scan(), "RAS")
    write_nifti(root / mask, labels(white), "RAS")
    tree = FileTree(zip_folder(root) if packed else root)
    source = generic_source(tree=tree)
    (case,) = source.find_cases(tree)
    assert (case.name, case.patient, case.is_volume) == (name, name, True)
    slices = list(case.read(8))
    np.testing.assert_array_equal(stacked(slices, "image"), LUNG_WINDOW.apply(scan()))
    np.testing.assert_array_equal(stacked(slices, "label"), labels(white) // white)
    assert source.intensity == LUNG_WINDOW
    assert source.labels == {1: "lesion"}


def test_volumes_by_pattern_with_rule_classes_and_lung(tmp_path: Path) -> None:
    values = scan(low=0, high=1000).astype(np.float32) / 1000
    write_nifti(tmp_path / "p1/day2/ct.nii.gz", values)
    write_nifti(tmp_path / "p1/day2/lesion.nii.gz", labels(3, 4))
    write_nifti(tmp_path / "p1/day2/lung.nii.gz", labels(1, 2, seed=2))
    options = GenericOptions(
        "{patient}/{case}/ct.nii.gz",
        "{patient}/{case}/lesion.nii.gz",
        "{patient}/{case}/lung.nii.gz",
        UNIT_RANGE,
        {3: 1, 4: 2},
        {2: "consolidation"},
    )
    source = generic_source(options, FileTree(tmp_path))
    (case,) = source.find_cases(FileTree(tmp_path))
    assert (case.name, case.patient) == ("p1_day2", "p1")
    slices = list(case.read(8))
    np.testing.assert_array_equal(stacked(slices, "image"), UNIT_RANGE.apply(values))
    label = labels(3, 4)
    np.testing.assert_array_equal(stacked(slices, "label"), np.where(label, label - 2, 0))
    np.testing.assert_array_equal(stacked(slices, "lung"), labels(1, 2, seed=2) > 0)
    assert source.intensity is None
    assert source.labels == {1: "class 1", 2: "consolidation"}


def test_hu_without_their_offset_go_through_a_window_of_arbitrary_values(tmp_path: Path) -> None:
    write_nifti(tmp_path / "images/a.nii.gz", scan() + 1224)
    write_nifti(tmp_path / "masks/a.nii.gz", labels(1))
    (refused,) = generic_source().find_cases(FileTree(tmp_path))
    with pytest.raises(UserError, match=r"a\.nii\.gz: its values, .* hold no air"):
        list(refused.read(8))
    options = GenericOptions(rule=IntensityRule("arbitrary", -26, 1474))
    source = generic_source(options, FileTree(tmp_path))
    (case,) = source.find_cases(FileTree(tmp_path))
    images = stacked(list(case.read(8)), "image")
    np.testing.assert_array_equal(images, LUNG_WINDOW.apply(scan()))
    assert source.intensity is None


def test_previews_beside_volumes_do_no_harm(tmp_path: Path) -> None:
    write_nifti(tmp_path / "images/a.nii.gz", scan())
    write_nifti(tmp_path / "masks/a.nii.gz", labels(1))
    write(tmp_path / "preview.png", grey())
    assert list(cases_of(tmp_path)) == ["a"]


def test_pairs_of_both_kinds_are_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "images/a.nii.gz", scan())
    write_nifti(tmp_path / "masks/a.nii.gz", labels(1))
    write_pair(tmp_path, "images/b.png", "masks/b.png")
    assert "convert one kind at a time" in refusal(tmp_path)


def test_a_volume_has_no_field_for_slices(tmp_path: Path) -> None:
    write_nifti(tmp_path / "i/a_1.nii.gz", scan())
    write_nifti(tmp_path / "m/a_1.nii.gz", labels(1))
    options = GenericOptions("i/{case}_{slice}.nii.gz", "m/{case}_{slice}.nii.gz")
    assert "a volume has no {slice}" in refusal(tmp_path, options)
