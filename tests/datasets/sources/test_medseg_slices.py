"""The MedSeg stack of 100 slices: upright, windowed as a whole, every slice by itself."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from image_files import zip_folder

from datasets.intensity import IntensityRule
from datasets.sources.file_tree import FileTree
from datasets.sources.medseg_slices import SOURCE
from datasets.sources.source import SourceCase
from utils.errors import UserError

SHAPE = (20, 16, 6)  # as stored: columns, rows, slices


def stack(seed: int = 0) -> np.ndarray:
    """Stored values of no known unit."""
    return np.random.default_rng(seed).normal(-300.0, 200.0, SHAPE)


def save(path: Path, stored: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(stored, np.eye(4) if affine is None else affine), path)
    return path


def label(*values: int, dtype: type[np.generic] = np.float64) -> np.ndarray:
    return np.random.default_rng(5).choice((0, *values), SHAPE).astype(dtype)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "13521488"
    save(root / "tr_im.nii.gz", stack())
    save(root / "tr_mask.nii.gz", label(1, 2, 3))
    save(root / "val_im.nii.gz", stack(1)[..., :2])
    (root / "Test-Images-Clinical-Details.csv").write_text("x\n")
    return root


def cases_of(root: Path) -> list[SourceCase]:
    return SOURCE.find_cases(FileTree(root))


def refusal(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        [list(case.read(8)) for case in cases_of(root)]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def upright(stored: np.ndarray, index: int) -> np.ndarray:
    """A slice as the set's users turn it."""
    return np.fliplr(np.rot90(stored[:, :, index], k=3))


@pytest.mark.parametrize("packed", [False, True])
def test_every_slice_is_a_case_and_a_patient_of_its_own(packed: bool, root: Path) -> None:
    cases = cases_of(zip_folder(root) if packed else root)
    assert [case.name for case in cases] == [f"medseg_{index:03d}" for index in range(6)]
    assert [case.patient for case in cases] == [case.name for case in cases]
    assert not any(case.is_volume or case.split for case in cases)
    for index, case in enumerate(cases):
        (item,) = case.read(8)
        assert item.index == index
        assert item.image.shape == item.label.shape == (16, 20)
        np.testing.assert_array_equal(item.label, upright(label(1, 2, 3), index))
        assert item.lung is None


@pytest.mark.parametrize(
    "affine", [np.eye(4), np.diag([-1.0, 1, -1, 1]), np.diag([-0.7, -0.7, 5, 1])]
)
def test_slices_stand_upright_whatever_the_header_says(affine: np.ndarray, root: Path) -> None:
    stored = np.full(SHAPE, -1000.0)
    stored[2, 3, 1] = 500.0  # column 2, row 3 of slice 1
    stored[:10] += 1.0  # else the percentiles are one value
    mask = (stored > 0).astype(np.float64)
    save(root / "tr_im.nii.gz", stored, affine)
    save(root / "tr_mask.nii.gz", mask, affine)
    slices = [item for case in cases_of(root) for item in case.read(8)]
    assert [item.index for item in slices if item.label.any()] == [1]
    assert np.argwhere(slices[1].label).tolist() == [[3, 2]]
    assert slices[1].image[3, 2] == 255


def test_one_window_of_percentiles_serves_the_whole_stack(root: Path) -> None:
    stored = stack()
    stored[..., 3] += 400.0  # stays brighter than the others
    save(root / "tr_im.nii.gz", stored)
    images = np.stack([next(case.read(8)).image for case in cases_of(root)])
    sample = stored.transpose(2, 1, 0)[:, ::4, ::4]
    low, high = np.percentile(sample, (0.5, 99.5))
    rule = IntensityRule("arbitrary", float(low), float(high))
    for index, image in enumerate(images):
        expected = rule.apply(upright(stored, index))
        assert np.abs(image.astype(int) - expected).max() <= 1
    assert images[3].mean() > images[2].mean() + 50
    assert SOURCE.intensity is None


def test_labels_are_rounded_rather_than_cut(root: Path) -> None:
    save(root / "tr_mask.nii.gz", label(1, 2, 3) - 1e-4)
    (item,) = cases_of(root)[2].read(8)
    np.testing.assert_array_equal(item.label, upright(label(1, 2, 3), 2))


def test_lung_masks_are_used_where_they_are(root: Path) -> None:
    save(root / "lungs/tr_lungmasks_updated.nii", label(1, 2, dtype=np.uint8))
    (item,) = cases_of(root)[4].read(16)
    np.testing.assert_array_equal(item.lung, upright(label(1, 2), 4) > 0)
    assert item.image.dtype == np.uint16


def test_unknown_labels_are_named_with_their_slice(root: Path) -> None:
    mask = label(1, 2, 3)
    mask[4, 4, 5] = 7
    save(root / "tr_mask.nii.gz", mask)
    message = refusal(root)
    assert message.startswith(f"{root / 'tr_mask.nii.gz'}: slice 5: unexpected mask values 7")


def test_masks_of_another_size_are_refused(root: Path) -> None:
    save(root / "tr_mask.nii.gz", label(1)[..., :4])
    assert "another size than" in refusal(root)
    assert "(20 x 16 x 4 against 20 x 16 x 6)" in refusal(root)


def test_values_that_are_all_the_same_are_refused(root: Path) -> None:
    save(root / "tr_im.nii.gz", np.zeros(SHAPE))
    assert "tr_im.nii.gz: all values are 0" in refusal(root)


def test_nan_is_refused(root: Path) -> None:
    stored = stack()
    stored[0, 0, 4] = np.nan
    save(root / "tr_im.nii.gz", stored)
    message = refusal(root)
    assert "tr_im.nii.gz: slice 4 holds NaN" in message


@pytest.mark.parametrize("packed", [False, True])
def test_a_truncated_stack_is_named(packed: bool, root: Path) -> None:
    path = root / "tr_mask.nii.gz"
    path.write_bytes(path.read_bytes()[:200])
    message = refusal(zip_folder(root) if packed else root)
    assert message.startswith(f"{root}.zip:tr_mask.nii.gz: " if packed else f"{path}: ")


@pytest.mark.parametrize("name", ["tr_im.nii.gz", "tr_mask.nii.gz"])
def test_a_missing_stack_is_refused_with_what_is_there(name: str, root: Path) -> None:
    (root / name).unlink()
    message = refusal(root)
    assert "val_im.nii.gz" in message
    assert "expected tr_im.nii.gz and tr_mask.nii.gz" in message
    assert "divide a patient" in message


def test_direct_links_have_sums() -> None:
    assert [item.file for item in SOURCE.downloads] == ["tr_im.nii.gz", "tr_mask.nii.gz"]
    assert all(len(item.md5) == 32 for item in SOURCE.downloads)
