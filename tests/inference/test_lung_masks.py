from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from datasets.volumes import open_nifti
from inference.lung_masks import find_lung_mask, open_lung_mask
from utils.errors import UserError

SHAPE = (6, 5, 4)
RAS = np.diag([0.8, 0.7, 2.5, 1.0])


def save(path: Path, values: np.ndarray, affine: np.ndarray = RAS) -> Path:
    path.parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def lungs() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, SHAPE).astype(np.uint8)


def flipped_storage() -> tuple[np.ndarray, np.ndarray]:
    """The same voxels in the same places, stored from the other end of two axes, exchanged."""
    affine = RAS.copy()
    affine[:3, 0] *= -1
    affine[:3, 3] += RAS[:3, 0] * (SHAPE[0] - 1)
    return lungs()[::-1].transpose(1, 0, 2), affine[:, [1, 0, 2, 3]]


@pytest.mark.parametrize("storage", [(lungs(), RAS), flipped_storage()], ids=["same", "other"])
def test_classes_come_in_the_view_of_the_volume_however_they_are_stored(
    tmp_path: Path, storage: tuple[np.ndarray, np.ndarray]
) -> None:
    scan = save(tmp_path / "scan.nii", np.zeros(SHAPE, np.int16))
    mask = save(tmp_path / "lung.nii.gz", *storage)
    with open_nifti(scan) as volume, open_lung_mask(mask, volume) as found:
        np.testing.assert_array_equal(found, volume.view.of(lungs()))
        assert found.dtype == np.uint8


def test_a_mask_of_another_size_or_place_or_of_other_values_is_refused(tmp_path: Path) -> None:
    scan = save(tmp_path / "scan.nii", np.zeros(SHAPE, np.int16))
    moved = RAS.copy()
    moved[2, 3] += 20
    mirrored = np.diag([-1, 1, 1, 1]) @ RAS
    for number, (values, affine, reason) in enumerate(
        (
            (lungs()[:, :, 1:], RAS, "3 x 5 x 6 voxels .* 4 x 5 x 6"),
            (lungs(), moved, "lies 20.0 mm off"),
            (lungs(), mirrored, "mm off"),
            (lungs().astype(np.int16) - 1000, RAS, "slice 0 has values from -1000"),
        )
    ):
        mask = save(tmp_path / f"lung{number}.nii", values, affine)
        with (
            open_nifti(scan) as volume,
            pytest.raises(UserError, match=rf"lung{number}\.nii: .*{reason}"),
            open_lung_mask(mask, volume),
        ):
            pass


@pytest.mark.parametrize("name", ["scan.nii", "Scan.nii.gz", "scan_lung.nii", "lung_scan.nii.gz"])
def test_a_mask_is_found_by_the_name_of_its_volume(tmp_path: Path, name: str) -> None:
    for other in ("scan2.nii", "scan_lung.png", name):
        (tmp_path / other).touch()
    assert find_lung_mask(tmp_path, "scan", num_cases=3) == tmp_path / name
    with pytest.raises(UserError, match="no mask of other"):
        find_lung_mask(tmp_path, "other", num_cases=3)


def test_one_mask_is_for_one_volume(tmp_path: Path) -> None:
    (tmp_path / "any.nii").touch()
    assert find_lung_mask(tmp_path / "any.nii", "scan", num_cases=1) == tmp_path / "any.nii"
    with pytest.raises(UserError, match="one mask for 2 scans"):
        find_lung_mask(tmp_path / "any.nii", "scan", num_cases=2)
    with pytest.raises(UserError, match="no such file"):
        find_lung_mask(tmp_path / "none", "scan", num_cases=1)
