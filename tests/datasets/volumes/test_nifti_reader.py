"""Reading NIfTI files."""

import gzip
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import from_matvec
from oriented_scans import OBLIQUE, all_orientations, expect_axial, noise, orient, write_scan

from datasets.volumes import nifti_stem, open_nifti
from utils.errors import UserError


@pytest.mark.parametrize(("axes", "signs"), all_orientations())
def test_every_orientation_is_shown_feet_to_head_front_to_back_right_to_left(
    tmp_path: Path, axes: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    path = tmp_path / "scan.nii"
    write_scan(path, affine=orient(axes, signs))
    with open_nifti(path) as volume:
        np.testing.assert_array_equal(volume.axial, expect_axial(path))
        sides = [volume.spacing[2 - axis] for axis in axes]
        np.testing.assert_allclose(sides, (0.7, 0.8, 2.5), rtol=1e-6)


def test_an_oblique_scan_keeps_its_own_planes(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    write_scan(path, affine=from_matvec(OBLIQUE, (1, 2, 3)))
    with open_nifti(path) as volume:
        np.testing.assert_array_equal(volume.axial, expect_axial(path))
        np.testing.assert_allclose(volume.spacing, (2.5, 0.8, 0.7), rtol=1e-5)


def test_a_sheared_scan_has_its_slices_apart_along_their_normal(tmp_path: Path) -> None:
    # A gantry tilt of atan(1.5 / 2): slices shifted by 1.5 mm, 2 mm apart.
    affine = from_matvec([[0.7, 0, 0], [0, 0.7, 1.5], [0, 0, 2]])
    write_scan(tmp_path / "scan.nii", affine=affine)
    with open_nifti(tmp_path / "scan.nii") as volume:
        np.testing.assert_allclose(volume.spacing, (2, 0.7, 0.7), rtol=1e-6)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_slope_and_intercept_apply_to_every_type(tmp_path: Path, dtype: type, suffix: str) -> None:
    values = noise(dtype=dtype)
    image = nib.Nifti1Image(values, np.eye(4))
    image.header.set_slope_inter(0.5, -20)
    path = tmp_path / f"scan{suffix}"
    image.to_filename(path)
    expected = nib.load(path).get_fdata().transpose(2, 1, 0)[1, ::-1, ::-1]
    with open_nifti(path) as volume:
        read = volume.read_slice(1)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
def test_both_versions_and_byte_orders_are_read(tmp_path: Path, kind: type, order: str) -> None:
    values = noise()
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.int16)
    path = tmp_path / "scan.nii"
    kind(values, np.eye(4), header).to_filename(path)
    with open_nifti(path) as volume:
        np.testing.assert_array_equal(volume.axial, expect_axial(path))
        assert volume.axial.dtype.newbyteorder("=") == np.int16


@pytest.mark.parametrize("count", [1, 600])
def test_one_slice_and_many_are_read(tmp_path: Path, count: int) -> None:
    values = write_scan(tmp_path / "scan.nii.gz", noise((6, 5, count)))
    with open_nifti(tmp_path / "scan.nii.gz") as volume:
        assert volume.shape == (count, 5, 6)
        assert len(volume) == count
        np.testing.assert_array_equal(volume.read_slice(count - 1), values[::-1, ::-1, -1].T)


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1, 1), (5, 4, 3, 1), (5, 4, 3, 1, 1)])
def test_a_single_image_and_axes_of_length_1_are_read(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    write_scan(tmp_path / "scan.nii", noise(shape))
    with open_nifti(tmp_path / "scan.nii") as volume:
        assert volume.shape == ((*shape, 1)[2], 4, 5)


def test_labels_are_rounded_not_cut_off(tmp_path: Path) -> None:
    # 0.1 is no binary fraction: 20 * 0.1 may come out below 2.
    image = nib.Nifti1Image(np.full((2, 2, 1), 20, np.uint8), np.eye(4))
    image.header.set_slope_inter(0.0999999, 0)
    image.to_filename(tmp_path / "label.nii")
    with open_nifti(tmp_path / "label.nii") as volume:
        assert (volume.read_label(0) == 2).all()


def test_the_content_tells_a_compressed_file_not_the_suffix(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.nii", tmp_path / "b.nii.gz"
    values = write_scan(plain)
    packed.write_bytes(plain.read_bytes())
    plain.write_bytes(gzip.compress(packed.read_bytes()))
    for path in (plain, packed):
        with open_nifti(path) as volume:
            assert volume.axial.sum() == values.sum()


def test_a_file_of_several_gzip_members_is_read(tmp_path: Path) -> None:
    write_scan(tmp_path / "a.nii")
    content = (tmp_path / "a.nii").read_bytes()
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(content[:400]) + gzip.compress(content[400:]))
    with open_nifti(path) as volume:
        np.testing.assert_array_equal(volume.axial, expect_axial(tmp_path / "a.nii"))


def test_no_temporary_file_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    write_scan(tmp_path / "a.nii.gz")
    with open_nifti(tmp_path / "a.nii.gz"):
        assert not list(scratch.iterdir())


def test_spacing_in_metres_becomes_mm(tmp_path: Path) -> None:
    image = nib.Nifti1Image(noise(), np.diag([7e-4, 8e-4, 25e-4, 1]))
    image.header.set_xyzt_units("meter")
    image.to_filename(tmp_path / "scan.nii")
    with open_nifti(tmp_path / "scan.nii") as volume:
        np.testing.assert_allclose(volume.spacing, (2.5, 0.8, 0.7), rtol=1e-6)


def test_without_sform_and_qform_the_spacing_counts(tmp_path: Path) -> None:
    image = nib.Nifti1Image(noise(), None)
    image.header.set_zooms((0.7, 0.8, 2.5))
    image.to_filename(tmp_path / "scan.nii")
    with open_nifti(tmp_path / "scan.nii") as volume:
        assert (image.header["qform_code"], image.header["sform_code"]) == (0, 0)
        np.testing.assert_allclose(volume.spacing, (2.5, 0.8, 0.7), rtol=1e-6)
        np.testing.assert_array_equal(volume.axial, expect_axial(tmp_path / "scan.nii"))


def test_an_error_of_the_reader_itself_passes_through(tmp_path: Path) -> None:
    write_scan(tmp_path / "scan.nii")
    error = OSError("not of this file")
    with pytest.raises(OSError, match="not of this file"), open_nifti(tmp_path / "scan.nii"):
        raise error


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_slice_that_is_not_finite_is_named(tmp_path: Path, value: float) -> None:
    values = noise(dtype=np.float64)
    values[1, 1, 2] = value
    path = tmp_path / "scan.nii"
    write_scan(path, values)
    with open_nifti(path) as volume:
        volume.read_slice(1)
        with pytest.raises(UserError, match=r"scan\.nii: slice 2 holds NaN or infinite"):
            volume.read_slice(2)


@pytest.mark.parametrize(("slope", "intercept"), [(1e38, 0), (1e300, 0), (1, 1e300)])
def test_a_scale_beyond_all_numbers_is_found_out(
    tmp_path: Path, slope: float, intercept: float
) -> None:
    image = nib.Nifti2Image(noise(), np.eye(4))
    image.header.set_slope_inter(slope, intercept)
    image.to_filename(tmp_path / "scan.nii")
    with (
        open_nifti(tmp_path / "scan.nii") as volume,
        pytest.raises(UserError, match="slice 0 holds NaN or infinite"),
    ):
        volume.read_slice(0)


@pytest.mark.parametrize(
    ("name", "stem"), [("a.nii", "a"), ("a.1.NII.GZ", "a.1"), ("a.gz", "a"), ("b", "b")]
)
def test_the_name_is_the_file_name_without_suffix(name: str, stem: str) -> None:
    assert nifti_stem(Path("folder") / name) == stem
