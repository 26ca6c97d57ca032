"""NIfTI files that cannot be used: one line that names the file and says why."""

import gzip
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from oriented_scans import noise, write_scan

from datasets.volumes import open_nifti
from utils.errors import UserError


def refuse(path: Path) -> str:
    """The line about a file that must be refused."""
    with pytest.raises(UserError) as caught, open_nifti(path):
        pass
    line = str(caught.value)
    assert "\n" not in line
    assert path.name in line
    return line


def with_header(path: Path, change: Callable[[nib.Nifti1Header], object]) -> Path:
    """A file whose header was changed after it was written; compressed if its name says so."""
    plain = path.with_name("plain.nii")
    write_scan(plain)
    content = plain.read_bytes()
    header = nib.Nifti1Header(content[:348])
    header["vox_offset"] = 352
    change(header)
    content = header.binaryblock + content[348:]
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def set_fields(**fields: object) -> Callable[[nib.Nifti1Header], None]:
    """A change of some fields."""

    def change(header: nib.Nifti1Header) -> None:
        for name, value in fields.items():
            header[name] = value

    return change


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_promise_of_a_million_million_voxels_is_refused_in_numbers(
    tmp_path: Path, name: str
) -> None:
    path = with_header(tmp_path / name, set_fields(dim=[3, 10000, 10000, 10000, 1, 1, 1, 1]))
    line = refuse(path)
    assert "10000 x 10000 x 10000 voxels in 2,000,000,000,352 bytes" in line
    assert f"{path.stat().st_size:,}" in line


def test_a_promise_beyond_the_room_for_temporary_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.nii.gz"
    write_scan(path)
    monkeypatch.setattr(
        "datasets.volumes.scratch.shutil.disk_usage", lambda folder: SimpleNamespace(free=100)
    )
    line = refuse(path)
    assert "472 bytes" in line
    assert f"{tempfile.gettempdir()} has 100 left" in line
    assert "TMPDIR" in line


def test_a_truncated_file_is_refused_in_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    write_scan(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert "5 x 4 x 3 voxels in 472 bytes, the file has 471" in refuse(path)


@pytest.mark.parametrize("left", [2, 9, 20, 100, -9, -4, -1])
def test_a_truncated_gzip_is_refused(tmp_path: Path, left: int) -> None:
    path = tmp_path / "a.nii.gz"
    write_scan(path, noise((20, 20, 20)))
    path.write_bytes(path.read_bytes()[:left])
    assert "gzip file breaks off; get the file again" in refuse(path)


@pytest.mark.parametrize("place", [-6, -2, 300])
def test_a_damaged_gzip_is_refused(tmp_path: Path, place: int) -> None:
    path = tmp_path / "a.nii.gz"
    write_scan(path, noise((20, 20, 20)))
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    assert "gzip file damaged" in refuse(path)


def test_garbage_after_the_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    write_scan(path)
    path.write_bytes(path.read_bytes() + b"garbage")
    assert "gzip file damaged" in refuse(path)


def test_a_gzip_with_less_than_promised_is_refused(tmp_path: Path) -> None:
    write_scan(tmp_path / "plain.nii")
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress((tmp_path / "plain.nii").read_bytes()[:-2]))
    assert "voxels in 472 bytes, the file has 470" in refuse(path)


def test_a_gzip_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    write_scan(tmp_path / "plain.nii")
    path = tmp_path / "a.nii.gz"
    packer = zlib.compressobj(9, wbits=31)
    content = packer.compress((tmp_path / "plain.nii").read_bytes())
    content += b"".join(packer.compress(bytes(1 << 20)) for _ in range(20))
    path.write_bytes(content + packer.flush())
    assert "holds more than the 5 x 4 x 3 voxels" in refuse(path)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"dim": [4, 5, 4, 3, 2, 1, 1, 1]}, r"has 4 axes \(5, 4, 3, 2\); split it"),
        ({"dim": [5, 5, 4, 1, 1, 3, 1, 1]}, "has 5 axes"),
        ({"dim": [3, 5, 0, 3, 1, 1, 1, 1]}, r"has the shape \(5, 0, 3\)"),
        ({"dim": [3, 5, -4, 3, 1, 1, 1, 1]}, "has the shape"),
        ({"dim": [1, 5, 1, 1, 1, 1, 1, 1]}, r"has the shape \(5,\)"),
        ({"datatype": 128, "bitpix": 24}, "holds RGB values"),
        ({"datatype": 32, "bitpix": 64}, "holds complex64 values"),
        ({"datatype": 999}, "damaged NIfTI header"),
        ({"vox_offset": np.nan}, "damaged NIfTI header"),
        ({"vox_offset": np.inf}, "damaged NIfTI header"),
        ({"vox_offset": 16}, "damaged NIfTI header"),
        ({"scl_slope": 1, "scl_inter": np.nan}, "damaged NIfTI header"),
        ({"srow_x": [0, 0, 0, 0]}, "nowhere in space"),
        ({"srow_x": [0, 0.8, 0, 0]}, "nowhere in space"),
        ({"srow_x": [0.7, 0.7, 0, 0], "srow_y": [0.8, 0.8, 0, 0]}, "nowhere in space"),
        ({"srow_y": [0, np.nan, 0, 0]}, "nowhere in space"),
        ({"srow_z": [0, 0, 2.5, np.inf]}, "nowhere in space"),
        ({"sform_code": 0, "qform_code": 1, "quatern_b": 2}, "damaged NIfTI header"),
        ({"magic": b"ni1"}, r"half of a \.hdr and \.img pair"),
        ({"magic": b"abc"}, "not a NIfTI file"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_header_that_holds_no_scan_is_refused(
    tmp_path: Path, fields: dict[str, object], reason: str, name: str
) -> None:
    path = with_header(tmp_path / name, set_fields(**fields))
    with pytest.raises(UserError, match=reason), open_nifti(path):
        pass
    refuse(path)


@pytest.mark.parametrize("sign", [-1.0, 0.0])
def test_a_spacing_that_is_not_positive_is_mended(tmp_path: Path, sign: float) -> None:
    change = set_fields(pixdim=[1, 0.7, 0.8 * sign, 2.5, 1, 1, 1, 1])
    with open_nifti(with_header(tmp_path / "a.nii", change)) as volume:
        np.testing.assert_allclose(volume.spacing, (2.5, 0.8, 0.7), rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (b"PK\x03\x04", "not a NIfTI file"),
        (bytes(1000), "not a NIfTI"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "a web page"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_no_nifti_at_all_is_refused(
    tmp_path: Path, content: bytes, reason: str, packed: bool
) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(content) if packed else content)
    assert reason in refuse(path)


def test_a_file_that_ends_within_its_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    nib.Nifti2Image(noise(), np.eye(4)).to_filename(path)
    path.write_bytes(path.read_bytes()[:400])
    assert "ends within its header" in refuse(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refuse(tmp_path / "none.nii")
    assert "cannot be read" in refuse(tmp_path)


@pytest.mark.parametrize("value", [3e9, -3e9, 1e30])
def test_a_label_volume_of_values_that_are_no_classes_is_refused(
    tmp_path: Path, value: float
) -> None:
    values = noise(dtype=np.float32)
    values[1, 1, 1] = value
    write_scan(tmp_path / "a.nii", values)
    with (
        open_nifti(tmp_path / "a.nii") as volume,
        pytest.raises(UserError, match=r"a\.nii: slice 1 holds values of 3e\+09|1e\+30"),
    ):
        volume.read_label(1)
