"""Masks and label maps beside scans and slices are passed over, and nothing else."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_files import write_series

from datasets.image_io import write_png
from inference.inputs import describe_masks, find_inputs


def save_nifti(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.diag([0.8, 0.7, 2.5, 1])), path)


@pytest.mark.parametrize(
    "name",
    ["scan_mask.nii.gz", "scan_seg.nii.gz", "scan-label.nii", "SCAN_LungMask.nii", "lesions.nii",
     "Segmentation.nii.gz", "deep/GT.nii"],
)  # fmt: skip
def test_a_mask_beside_its_scan_is_passed_over(tmp_path: Path, name: str) -> None:
    scan = np.random.default_rng(0).integers(-1000, 500, (9, 10, 4)).astype(np.int16)
    save_nifti(tmp_path / "scan.nii.gz", scan)
    save_nifti(tmp_path / name, (scan > 0).astype(np.uint8) * 20)
    found = find_inputs([tmp_path], tmp_path.parent / "out")
    assert [case.path.name for case in found.cases] == ["scan.nii.gz"]
    assert found.masks == [tmp_path / name]
    assert describe_masks(found.masks) == f"1 mask of other cases ({Path(name).name})"
    # What is named itself is wanted, whatever it is.
    (case,) = find_inputs([tmp_path / name], tmp_path / "out").cases
    assert case.path == tmp_path / name


def test_what_is_only_called_a_mask_is_a_case(tmp_path: Path) -> None:
    scan = np.random.default_rng(0).integers(-1000, 500, (9, 10, 4)).astype(np.int16)
    save_nifti(tmp_path / "scan.nii.gz", scan)
    save_nifti(tmp_path / "lung_window_seg.nii", scan)  # holds HU
    save_nifti(tmp_path / "other_mask.nii", (scan[:8] > 0).astype(np.uint8))  # of another size
    save_nifti(tmp_path / "segments.nii", (scan > 0).astype(np.uint8))  # nobody says so
    save_nifti(tmp_path / "spoilt_mask.nii", scan)
    (tmp_path / "spoilt_mask.nii").write_bytes(b"no NIfTI")
    found = find_inputs([tmp_path], tmp_path.parent / "out")
    assert len(found.cases) == 5
    assert found.masks == []


def test_a_mask_beside_a_series_or_a_slice_is_passed_over(tmp_path: Path) -> None:
    write_series(tmp_path / "dicom", np.zeros((3, 8, 9), np.int16))
    save_nifti(tmp_path / "dicom" / "lungs.nii.gz", np.eye(9, 24, dtype=np.uint8).reshape(9, 8, 3))
    grey = np.random.default_rng(0).integers(0, 255, (32, 30), np.uint8)
    for name, values in (("a", grey), ("a_mask", (grey > 99) * np.uint8(255)), ("b_mask", grey)):
        write_png(tmp_path / f"{name}.png", values)
    found = find_inputs([tmp_path], tmp_path.parent / "out")
    assert {path.name for path in found.masks} == {"lungs.nii.gz", "a_mask.png"}
    assert {case.path.stem for case in found.cases} >= {"a", "b_mask"}
