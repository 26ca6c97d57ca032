"""Writing NIfTI files with the geometry of another volume."""

import gzip
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import from_matvec
from oriented_scans import OBLIQUE, all_orientations, noise, orient, write_scan

from datasets.volumes import Volume, open_nifti, release_pages, write_nifti
from utils.errors import UserError

_GEOMETRY = (
    "dim", "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c",
    "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip


def copy_by_slices(source: Path, target: Path, dtype: type = np.int16) -> None:
    """Read a volume slice by slice and write it to another file."""
    with open_nifti(source) as volume, write_nifti(target, volume, dtype) as written:
        for index in range(len(volume)):
            written[index] = volume.read_slice(index)


def assert_same_geometry(first: Path, second: Path) -> None:
    """Every field that says where the voxels lie is equal to the bit."""
    headers = [nib.load(path).header for path in (first, second)]
    for field in _GEOMETRY:
        assert headers[0][field].tobytes() == headers[1][field].tobytes(), field
    np.testing.assert_array_equal(nib.load(first).affine, nib.load(second).affine)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    "affine",
    [*(orient(*orientation) for orientation in all_orientations()),
     from_matvec(OBLIQUE, (1, 2, 3)), from_matvec(-OBLIQUE[[1, 2, 0]], (1, 2, 3))],
)  # fmt: skip
def test_every_orientation_comes_back_as_it_was_stored(
    tmp_path: Path, affine: np.ndarray, suffix: str
) -> None:
    source, target = tmp_path / "scan.nii", tmp_path / f"copy{suffix}"
    values = write_scan(source, affine=affine)
    copy_by_slices(source, target)
    np.testing.assert_array_equal(np.asarray(nib.load(target).dataobj), values)
    assert_same_geometry(source, target)


@pytest.mark.parametrize("shape", [(6, 5, 1), (6, 5, 600), (6, 5), (6, 5, 4, 1)])
def test_one_slice_to_600_come_back_in_their_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    source, target = tmp_path / "scan.nii.gz", tmp_path / "copy.nii.gz"
    values = write_scan(source, noise(shape), orient((2, 0, 1), (1, -1, 1)))
    copy_by_slices(source, target)
    np.testing.assert_array_equal(np.asarray(nib.load(target).dataobj), values)
    assert_same_geometry(source, target)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
def test_codes_units_and_version_are_kept_and_descriptions_are_not(
    tmp_path: Path, kind: type, order: str
) -> None:
    source, target = tmp_path / "scan.nii", tmp_path / "copy.nii"
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.int16)
    image = kind(noise((5, 4, 3, 1)), orient((0, 1, 2), (-1, -1, 1)), header)
    image.set_qform(orient((0, 1, 2), (-1, 1, 1)), 3)  # another one than the sform
    image.set_sform(orient((0, 1, 2), (-1, -1, 1)), 4)
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = 2.5
    image.header.set_slope_inter(0.25, 7)
    image.header["descrip"], image.header["cal_max"] = b"of the scan", 1000
    image.header.set_intent("z score")
    image.to_filename(source)
    copy_by_slices(source, target, np.float32)
    assert_same_geometry(source, target)
    written = nib.load(target)
    assert type(written) is kind
    np.testing.assert_allclose(written.get_fdata(), nib.load(source).get_fdata())
    assert (written.header["descrip"], written.header["cal_max"]) == (b"", 0)
    assert written.header.get_intent()[0] == "none"


def test_extensions_of_the_header_are_left_behind(tmp_path: Path) -> None:
    source, target = tmp_path / "scan.nii", tmp_path / "copy.nii"
    image = nib.Nifti1Image(noise(), np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"of the scan" * 9))
    image.to_filename(source)
    copy_by_slices(source, target)
    np.testing.assert_array_equal(np.asarray(nib.load(target).dataobj), noise())
    assert not nib.load(target).header.extensions
    assert target.stat().st_size == 352 + noise().nbytes


def test_the_slope_scales_what_is_read(tmp_path: Path) -> None:
    write_scan(tmp_path / "scan.nii")
    target = tmp_path / "prob.nii.gz"
    with (
        open_nifti(tmp_path / "scan.nii") as volume,
        write_nifti(target, volume, np.uint8, 1 / 255) as written,
    ):
        written[:] = 255
    np.testing.assert_allclose(nib.load(target).get_fdata(), 1, rtol=1e-6)


def test_a_volume_without_header_gives_its_affine(tmp_path: Path) -> None:
    affine = from_matvec(OBLIQUE, (1, 2, 3))
    volume = Volume("phantom", tmp_path, noise((5, 4, 3)), affine)
    with write_nifti(tmp_path / "copy.nii", volume, np.int16) as written:
        written[:] = volume.axial
    image = nib.load(tmp_path / "copy.nii")
    np.testing.assert_array_equal(np.asarray(image.dataobj), noise((5, 4, 3)))
    np.testing.assert_allclose(image.affine, affine, rtol=1e-6)
    np.testing.assert_allclose(image.get_qform(), affine, atol=1e-5)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_equal_values_give_equal_files(tmp_path: Path) -> None:
    write_scan(tmp_path / "scan.nii")
    for name in ("a.nii.gz", "another.nii.gz"):
        copy_by_slices(tmp_path / "scan.nii", tmp_path / name)
    first = (tmp_path / "a.nii.gz").read_bytes()
    assert first == (tmp_path / "another.nii.gz").read_bytes()
    assert gzip.decompress(first)[:4] == (348).to_bytes(4, "little")
    assert first[4:8] == bytes(4)  # the time


@pytest.mark.parametrize("name", ["copy.nii", "copy.nii.gz"])
def test_an_error_leaves_the_former_file_and_nothing_else(tmp_path: Path, name: str) -> None:
    write_scan(tmp_path / "scan.nii")
    (tmp_path / name).write_bytes(b"former")
    with (  # noqa: PT012
        open_nifti(tmp_path / "scan.nii") as volume,
        pytest.raises(RuntimeError, match="half way"),
        write_nifti(tmp_path / name, volume, np.uint8) as written,
    ):
        written[0] = 1
        raise RuntimeError("half way")
    assert (tmp_path / name).read_bytes() == b"former"
    assert {path.name for path in tmp_path.iterdir()} == {"scan.nii", name}


@pytest.fixture
def no_room_for_more_than_8_kib() -> Iterator[None]:
    """Files cannot become longer, which writing finds out as it does a full disk."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, former[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, former)


@pytest.mark.parametrize("name", ["copy.nii", "copy.nii.gz"])
@pytest.mark.usefixtures("no_room_for_more_than_8_kib")
def test_a_full_disk_is_found_out_before_anything_is_written(tmp_path: Path, name: str) -> None:
    volume = Volume("phantom", tmp_path, np.zeros((40, 40, 40), np.uint8), np.eye(4))
    with (
        pytest.raises(UserError, match=rf"{name}: cannot be written \(File too large\); make room"),
        write_nifti(tmp_path / name, volume, np.uint8),
    ):
        pytest.fail("there is no room")
    assert not list(tmp_path.iterdir())


def test_no_room_to_unpack_is_one_line(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "scan.nii.gz"
    write_scan(path, np.zeros((40, 40, 40), np.uint8))
    request.getfixturevalue("no_room_for_more_than_8_kib")
    folder = tempfile.gettempdir()
    with (
        pytest.raises(UserError, match=rf"scan\.nii\.gz: cannot be unpacked to {folder}"),
        open_nifti(path),
    ):
        pass


def test_another_suffix_is_an_error(tmp_path: Path) -> None:
    volume = Volume("phantom", tmp_path, noise(), np.eye(4))
    with (
        pytest.raises(ValueError, match=r"must end in \.nii or \.nii\.gz"),
        write_nifti(tmp_path / "copy.mha", volume, np.uint8),
    ):
        pass


def test_letting_go_of_pages_loses_nothing_that_was_written(tmp_path: Path) -> None:
    volume = Volume("phantom", tmp_path, noise((64, 64, 64)), orient((1, 2, 0), (1, -1, -1)))
    with write_nifti(tmp_path / "copy.nii.gz", volume, np.int16) as written:
        for index in range(len(volume)):
            written[index] = volume.axial[index]
            release_pages(written)
    np.testing.assert_array_equal(
        np.asarray(nib.load(tmp_path / "copy.nii.gz").dataobj), noise((64, 64, 64))
    )


def test_reading_by_slices_does_not_keep_the_file_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    write_scan(path, np.ones((512, 512, 64), np.int16))  # 32 MiB

    def mapped_kib() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        shares = ("RssFile", "RssShmem")  # the latter where temporary files are in memory
        return sum(int(line.split()[1]) for line in lines if line.startswith(shares))

    with open_nifti(path) as volume:
        before = mapped_kib()
        for index in range(len(volume)):
            volume.read_slice(index)
        assert mapped_kib() - before < 4096
        volume.axial.sum()
        assert mapped_kib() - before > 16384  # this is how the measurement shows it
