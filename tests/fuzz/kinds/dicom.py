"""DICOM series: elements replaced, dropped, doubled, of other types and lengths; then bytes."""

import gc
import struct
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from pydicom import dcmread
from pydicom.fileset import FileSet
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from datasets.volumes import check_disk, check_geometry, list_files, open_series, search_series
from tests.dicom_files import AXIAL, CORONAL, write_series
from tests.fuzz.kind import Files, Kind
from tests.fuzz.raw import spoil
from utils.errors import UserError

_START = 132  # preamble and magic
_LONG = (b"OB", b"OW", b"OF", b"OD", b"SQ", b"UC", b"UR", b"UT", b"UN")
_VRS = (b"US", b"SS", b"UL", b"DS", b"IS", b"FD", b"FL", b"CS", b"LO", b"UI", b"SQ", b"OB", b"OW",
        b"UN", b"AT", b"PN", b"DA", b"??", b"\0\0")  # fmt: skip
_VALUES = (
    b"", b"0", b"1", b"-1", b"1e400", b"nan", b"inf", b"-inf", b"1e-300", b"abc", b"1\\2", b"\\",
    b"1\\2\\3", b"0\\0\\0", b"1\\0\\0\\0\\1\\0", b"0\\0\\0\\0\\0\\0", b"1e308\\1e308", b"  ",
    b"\0\0",
    b"\0\0\0\0", b"\1\0", b"\x08\0", b"\x10\0", b"\xff\xff", b"\0\x80", b"\xff\xff\xff\xff",
    b"2147483648",
    b"99999999999999999999", b"1.2.840.10008.1.2.5", b"1.2.840.10008.1.2.4.50",
    b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.1", b"1.2.840.10008.5.1.4.1.1.2.1",
    b"1.2.840.10008.5.1.4.1.1.7", b"MONOCHROME1", b"RGB", b"PALETTE COLOR", b"MR", b"SEG",
    b"LOCALIZER",
    b"a" * 300, b"a\nb", b"\xe9\x00\xff", b"../..", b"ISO_IR 192", b"ISO 2022 IR 87", b"nonsense",
)  # fmt: skip
_TELLING = (
    (0x28, 0x2), (0x28, 0x4), (0x28, 0x8), (0x28, 0x10), (0x28, 0x11), (0x28, 0x30), (0x28, 0x100),
    (0x28, 0x101), (0x28, 0x102), (0x28, 0x103), (0x28, 0x120), (0x28, 0x121), (0x28, 0x1052),
    (0x28, 0x1053), (0x28, 0x1054), (0x20, 0xD), (0x20, 0xE), (0x20, 0x11), (0x20, 0x12),
    (0x20, 0x13), (0x20, 0x32), (0x20, 0x37), (0x18, 0x50), (0x18, 0x88), (0x10, 0x20), (0x8, 0x5),
    (0x8, 0x8), (0x8, 0x16), (0x8, 0x60), (0x8, 0x103E), (0x2, 0x0), (0x2, 0x2), (0x2, 0x10),
    (0x7FE0, 0x10), (0x7FE0, 0x1), (0x5400, 0x100),
)  # fmt: skip


class _Element(NamedTuple):
    """As it stands in explicit little endian; length None is the one of the value."""

    tag: tuple[int, int]
    vr: bytes
    value: bytes
    length: int | None = None

    def to_bytes(self) -> bytes:
        length = len(self.value) if self.length is None else self.length
        if self.vr in _LONG:
            size = b"\0\0" + struct.pack("<I", length & 0xFFFFFFFF)
        else:
            size = struct.pack("<H", length & 0xFFFF)
        return struct.pack("<HH", *self.tag) + self.vr + size + self.value


def _elements(data: bytes) -> tuple[bytes, list[_Element]]:
    """What stands before the elements, and the elements of a file without sequences."""
    found, place = [], _START
    while place < len(data):
        tag, vr = struct.unpack_from("<HH", data, place), data[place + 4 : place + 6]
        if vr in _LONG:
            (length,) = struct.unpack_from("<I", data, place + 8)
            place += 12
        else:
            (length,) = struct.unpack_from("<H", data, place + 6)
            place += 8
        length = min(length, len(data) - place)  # encapsulated pixels are the last
        found.append(_Element(tag, vr, data[place : place + length]))
        place += length
    return data[:_START], found


def _series(change: Callable[[int, Any], object] | None = None, **options: Any) -> list[bytes]:
    values = np.random.default_rng(0).integers(-1000, 400, (3, 8, 8))
    with tempfile.TemporaryDirectory() as folder:
        paths = write_series(Path(folder), values, **options)
        return [_converted(path, change) for path in paths]


def _converted(path: Path, change: Callable[[Any], object] | None) -> bytes:
    if change is not None:
        dataset = dcmread(path)
        change(dataset)
        dataset.save_as(path, enforce_file_format=True)
    return path.read_bytes()


def _in_syntax(syntax: str) -> Callable[[Any], None]:
    def change(dataset: Any) -> None:
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        # The way it was read would outweigh the new syntax.
        dataset._read_implicit = dataset._read_little = None

    return change


_EXPLICIT = [
    _series(),
    _series(orientation=CORONAL, patient=None),
    _series(lambda dataset: dataset.compress(RLELossless)),
]
_OTHERS = [
    _series(_in_syntax(syntax))
    for syntax in (ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
]


@st.composite
def series_files(draw: DrawFn) -> Files:
    """A series of three slices, one of them or all of them spoilt."""
    is_explicit = draw(st.integers(0, 4)) > 0
    slices = list(draw(st.sampled_from(_EXPLICIT if is_explicit else _OTHERS)))
    chosen = draw(st.sampled_from(([0], [1], [2], [0, 1, 2])))
    if is_explicit and draw(st.integers(0, 4)):
        changes = draw(st.lists(_changes(), min_size=1, max_size=3))
        for index in chosen:
            slices[index] = _apply(slices[index], changes)
    if not is_explicit or draw(st.integers(0, 3)) == 0:
        slices[chosen[0]] = draw(spoil(slices[chosen[0]]))
    if draw(st.integers(0, 9)) == 0:
        slices = [data[_START:] for data in slices]
    return {f"IM{index}": data for index, data in enumerate(slices)}


@st.composite
def _changes(draw: DrawFn) -> tuple[str, tuple[int, int], Any, bytes]:
    way = draw(
        st.sampled_from(("value", "value", "value", "drop", "vr", "length", "double", "tag"))
    )
    value = draw(st.sampled_from(_VALUES) | st.binary(max_size=12))
    extra = {
        "vr": st.sampled_from(_VRS),
        "length": st.sampled_from((0, 1, 3, 7, 0xFFFE, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, 100000)),
        "tag": st.sampled_from((*_TELLING, (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0, 0), (9, 1))),
    }.get(way, st.none())
    return way, draw(st.sampled_from(_TELLING)), draw(extra), value


def _apply(data: bytes, changes: list[tuple[str, tuple[int, int], Any, bytes]]) -> bytes:
    """Change the elements of a file; one that it does not have is added."""
    start, elements = _elements(data)
    for way, tag, extra, value in changes:
        place = next((i for i, element in enumerate(elements) if element.tag == tag), None)
        if place is None:
            place = next((i for i, e in enumerate(elements) if e.tag > tag), len(elements))
            elements.insert(place, _Element(tag, b"US" if tag[0] == 0x28 else b"LO", value))
            continue
        element = elements[place]
        if way == "drop":
            del elements[place]
        elif way == "double":
            elements.insert(place, element._replace(value=value))
        else:
            field = {"value": value, "vr": extra, "length": extra, "tag": extra}[way]
            elements[place] = element._replace(**{way: field})
    return start + b"".join(element.to_bytes() for element in elements)


def read_series(folder: Path) -> None:
    """Every series, as CT and as any modality; refused if none can be read."""
    errors = []
    for any_modality in (False, True):
        found = search_series(list_files(folder / "in"), any_modality=any_modality)
        for series in found.series:
            try:
                with open_series(series) as volume:
                    check_geometry(volume)
                    for index in range(len(volume)):
                        volume.read_slice(index)
            except UserError as error:
                errors.append(error)
    if errors:
        raise errors[0]


def _disk() -> dict[str, bytes]:
    """A DICOMDIR and what it names."""
    with tempfile.TemporaryDirectory() as folder:
        _write_disk(Path(folder))
        root = Path(folder) / "disk"
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }


def _write_disk(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a FileSet leaves its own folder behind
        files = FileSet()
        for path in write_series(folder / "in", np.zeros((2, 8, 8)), orientation=AXIAL):
            files.add(path)
        files.write(folder / "disk")
        del files
        gc.collect()


_DISK = _disk()


def read_disk(folder: Path) -> None:
    """The list of a disk, and the series on it."""
    check_disk(folder / "in" / "DICOMDIR")
    read_series(folder)


SERIES = Kind(series_files(), read_series)
DISK = Kind(spoil(_DISK["DICOMDIR"]).map(lambda data: _DISK | {"DICOMDIR": data}), read_disk)
