"""From NIfTI over a predictor to NIfTI gives back the mask, whatever the geometry."""

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from identity import identity_model
from nibabel.affines import from_matvec
from nibabel.eulerangles import euler2mat

from datasets.image_io import read_gray, write_png
from datasets.volumes import open_nifti, write_nifti
from inference.failures import Failures
from inference.images import predict_images
from inference.inputs import find_inputs
from inference.intensity_options import IntensityOptions
from inference.scan import LungSource, predict_scan
from inference.volumes import VolumeOptions, predict_volume

ORIGIN = (-120.5, 33.25, 1012.0)
SIDES = (0.7, 0.9, 5.0)
OBLIQUE = euler2mat(0.25, -0.15, 0.1)
ALONG_AXES = list(
    itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3))
)


def turned(axes: tuple[int, ...], signs: tuple[int, ...]) -> np.ndarray:
    """The directions of three axes that lie along those of the body."""
    matrix = np.zeros((3, 3))
    for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        matrix[axis, column] = sign
    return matrix


def draw_mask(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Scattered lesion, with a slice without any along each axis; none is full."""
    mask = (np.random.default_rng(seed).random(shape) < 0.3).astype(np.uint8)
    for axis, length in enumerate(shape):
        if length > 1:
            np.moveaxis(mask, axis, 0)[0] = 0
    return mask


def save_mask(path: Path, mask: np.ndarray, directions: np.ndarray) -> Path:
    """Write a mask as a scan of its own."""
    affine = from_matvec(directions @ np.diag(SIDES), ORIGIN)
    nib.save(nib.Nifti1Image(mask, affine), path)
    return path


def assert_same(path: Path, wanted: Path) -> None:
    """Equal voxels in equal places."""
    found, mask = nib.load(path), nib.load(wanted)
    np.testing.assert_array_equal(np.asarray(found.dataobj), np.asarray(mask.dataobj))
    np.testing.assert_array_equal(found.affine, mask.affine)
    assert found.header.get_zooms() == mask.header.get_zooms()


@pytest.mark.parametrize("tilt", [np.eye(3), OBLIQUE], ids=["along the axes", "oblique"])
def test_a_mask_comes_back_exactly_in_all_48_orientations(tmp_path: Path, tilt: np.ndarray) -> None:
    seen = set()
    for number, (axes, signs) in enumerate(ALONG_AXES):
        path = tmp_path / f"scan{number}.nii"
        save_mask(path, draw_mask((7, 6, 5)), tilt @ turned(axes, signs))
        seen.add("".join(nib.aff2axcodes(nib.load(path).affine)))
        with open_nifti(path) as volume:
            model = identity_model(volume.shape[1:], ["evaluation.batch_size=4"])
            rule = IntensityOptions(None, unit="0-1").rule_for(volume, is_dicom=False)
            out, prob = tmp_path / "mask.nii.gz", np.zeros(volume.shape, np.uint8)
            with write_nifti(out, volume, np.uint8) as mask:
                lesions = predict_scan(volume, rule, model, LungSource(), mask, prob, 0.0)
                np.testing.assert_array_equal(prob, 255 * mask)
                assert lesions.areas == mask.sum((1, 2)).tolist()
        assert_same(out, path)
    assert len(seen) == 48
    assert {"RAS", "LPS", "LAS", "PIR"} <= seen


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)], ids=["axial", "sagittal"])
@pytest.mark.parametrize("num_slices", [1, 2, 33, 600])
def test_a_mask_comes_back_exactly_from_1_to_600_slices(
    tmp_path: Path, num_slices: int, axes: tuple[int, ...]
) -> None:
    shape = tuple(num_slices if axis == 2 else 9 - axis for axis in axes)
    mask = draw_mask(shape)
    path = save_mask(tmp_path / "scan.nii.gz", mask, OBLIQUE @ turned(axes, (-1, -1, 1)))
    (case,) = find_inputs([path], tmp_path / "out").cases
    with open_nifti(path) as volume:
        model = identity_model(volume.shape[1:], ["evaluation.batch_size=8"])
    levels = IntensityOptions(None, unit="0-1")
    options = VolumeOptions(levels, with_severity=False, smoothing_mm=0.0)
    predict_volume(case, model, options, tmp_path / "out")
    assert_same(tmp_path / "out" / "scan_mask.nii.gz", path)
    prob = nib.load(tmp_path / "out" / "scan_prob.nii.gz")
    np.testing.assert_allclose(np.asarray(prob.dataobj), mask, atol=1e-6)
    assert sum(model.predictor.batches) == num_slices
    assert max(model.predictor.batches) <= 8


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0)], ids=["axial", "permuted"])
def test_a_mask_comes_back_exactly_by_way_of_png_files(
    tmp_path: Path, axes: tuple[int, ...]
) -> None:
    path = save_mask(
        tmp_path / "scan.nii", draw_mask((8, 7, 6)), OBLIQUE @ turned(axes, (1, -1, -1))
    )
    slices, out, again = tmp_path / "slices", tmp_path / "out", tmp_path / "again.nii.gz"
    slices.mkdir()
    with open_nifti(path) as volume:
        rule = IntensityOptions(None, unit="0-1").rule_for(volume, is_dicom=False)
        for index in range(len(volume)):
            write_png(slices / f"scan_z{index:03d}.png", rule.apply(volume.read_slice(index)))
        cases = find_inputs([slices], out).cases
        model = identity_model(volume.shape[1:])
        predict_images(cases, model, out, Failures(keep_going=False))
        with write_nifti(again, volume, np.uint8) as mask:
            for index, case in enumerate(cases):
                mask[index] = read_gray(out / f"{case.stem}_mask.png") // 255
    assert_same(again, path)
