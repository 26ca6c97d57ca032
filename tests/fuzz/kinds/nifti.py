"""NIfTI volumes: header fields at their limits, then bytes of the file, packed or not."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from datasets.volumes import check_geometry, describe_placeless, open_nifti, write_nifti
from tests.fuzz.kind import Files, Kind
from tests.fuzz.raw import spoil

_HEADERS = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
_FLOATS = (0.0, -0.0, 1.0, -1.0, 0.7, 1e-45, 1e-30, 1e10, 3e38, np.nan, np.inf, -np.inf)
# Codes of types, of spaces and of units among them.
_INTEGERS = (0, 1, -1, 2, 3, 4, 7, 8, 16, 64, 128, 256, 348, 352, 512, 768, 1024, 1536, 32, 255)
_TELLING = ("dim", "datatype", "bitpix", "pixdim", "vox_offset", "scl_slope", "scl_inter",
            "srow_x", "srow_y", "srow_z", "sform_code", "qform_code", "quatern_b", "magic",
            "xyzt_units", "sizeof_hdr")  # fmt: skip


def _file(image: type, values: np.ndarray, affine: np.ndarray | None = None) -> bytes:
    return image(values, np.diag([0.7, 0.8, 2.5, 1]) if affine is None else affine).to_bytes()


def _seeds() -> list[bytes]:
    """Scans and masks in miniature, of both versions and of several types."""
    rng = np.random.default_rng(0)
    scan = rng.integers(-1000, 400, (8, 8, 4)).astype(np.int16)
    scaled = nib.Nifti1Image(scan, np.diag([-0.7, -0.8, 2.5, 1]))
    scaled.header.set_slope_inter(0.5, -10)
    extended = nib.Nifti1Image(scan.astype(np.float32), np.eye(4))
    extended.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"a comment"))
    return [
        _file(nib.Nifti1Image, scan),
        _file(nib.Nifti2Image, scan.astype(np.float32)),
        _file(nib.Nifti1Image, (scan > 0).astype(np.uint8)),
        _file(nib.Nifti1Image, scan.astype(np.float64)[..., 0]),
        scaled.to_bytes(),
        extended.to_bytes(),
    ]


_SEEDS = _seeds()


@st.composite
def nifti_files(draw: DrawFn) -> bytes:
    """A spoilt file, perhaps compressed."""
    data = draw(st.sampled_from(_SEEDS))
    if draw(st.integers(0, 3)):
        data = draw(_with_fields(data))
    way = draw(st.sampled_from(("plain", "plain", "packed", "both", "head")))
    if way in ("plain", "both"):
        data = draw(spoil(data))
    if way == "plain" or (way == "head" and draw(st.booleans())):
        return data
    data = gzip.compress(data, 1, mtime=0)
    return draw(spoil(data)) if way == "packed" else data


@st.composite
def _with_fields(draw: DrawFn, data: bytes) -> bytes:
    size = int.from_bytes(data[:4], "little")
    fields = np.frombuffer(data[:size], _HEADERS[size].template_dtype).copy()
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(_TELLING) | st.sampled_from(fields.dtype.names))
        values = fields[name].reshape(-1)
        place = draw(st.integers(0, len(values) - 1))
        with np.errstate(all="ignore"):
            values[place] = draw(_field_value(values.dtype))
    if draw(st.integers(0, 7)) == 0:
        fields = fields.byteswap()
    return fields.tobytes() + data[size:]


def _field_value(dtype: np.dtype) -> SearchStrategy:
    if dtype.kind == "f":
        return st.sampled_from(_FLOATS) | st.floats(width=32)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        low, high = int(info.min), int(info.max)
        fitting = [value for value in _INTEGERS if low <= value <= high]
        return st.sampled_from([*fitting, low, high]) | st.integers(low, high)
    return st.sampled_from((b"", b"n+1\0", b"n+2\0", b"ni1\0", b"\xff" * dtype.itemsize))


def read_nifti(folder: Path) -> None:
    """As a scan, as a label volume, and as what a prediction is written beside."""
    (path,) = (folder / "in").iterdir()
    with open_nifti(path) as volume:
        check_geometry(volume)
        describe_placeless(volume)
        for index in range(len(volume)):
            volume.read_slice(index)
            volume.read_label(index)
        (folder / "out").mkdir()
        with write_nifti(folder / "out" / "mask.nii.gz", volume, np.uint8) as mask:
            mask[:] = 1
    with open_nifti(folder / "out" / "mask.nii.gz") as written:
        assert written.shape == volume.shape
        assert all(written.read_label(index).all() for index in range(len(written)))


def _named(data: bytes) -> Files:
    return {"scan.nii.gz" if data.startswith(b"\x1f\x8b") else "scan.nii": data}


NIFTI = Kind(nifti_files().map(_named), read_nifti)
