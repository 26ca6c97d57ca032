"""PNG: chunks changed with their checksums set right, dropped, doubled; then bytes."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from PIL import Image

from datasets.image_io import read_gray
from tests.datasets.written_images import RAMP, saved
from tests.fuzz.kind import Kind
from tests.fuzz.raw import spoil

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KINDS = (b"tRNS", b"PLTE", b"eXIf", b"acTL", b"iCCP", b"gAMA", b"tEXt", b"zTXt", b"sBIT", b"pHYs",
          b"fcTL", b"IDAT", b"IEND", b"IHDR", b"cICP", b"abcd")  # fmt: skip

Chunk = tuple[bytes, bytes]


def _palette(**options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(RAMP).convert("P").save(stream, "PNG", **options)
    return stream.getvalue()


_SEEDS = [
    saved(RAMP, "PNG"),
    saved(RAMP.astype(np.uint16) * 200, "PNG"),
    saved(np.dstack([RAMP] * 3), "PNG"),
    saved(np.dstack([RAMP, RAMP, RAMP, RAMP * 0 + 255]), "PNG"),
    saved(RAMP > 100, "PNG"),
    saved(RAMP, "PNG", transparency=255),
    _palette(),
    _palette(transparency=3),
]


@st.composite
def png_files(draw: DrawFn) -> bytes:
    """A spoilt file."""
    data = draw(st.sampled_from(_SEEDS))
    if draw(st.integers(0, 3)):
        data = draw(_with_chunks(data))
    return draw(spoil(data)) if draw(st.integers(0, 3)) == 0 else data


@st.composite
def _with_chunks(draw: DrawFn, data: bytes) -> bytes:
    chunks = _chunks(data)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(len(chunks) - 1, 0)))
        way = draw(st.sampled_from(("body", "body", "head", "drop", "add", "swap", "pixels")))
        kind, body = chunks[place] if chunks else (b"IEND", b"")
        if way == "body" and chunks:
            chunks[place] = kind, draw(spoil(body)) if body else draw(st.binary(max_size=8))
        elif way == "head" and chunks and chunks[0][0] == b"IHDR" and len(chunks[0][1]) == 13:
            chunks[0] = b"IHDR", draw(_header(chunks[0][1]))
        elif way == "drop" and chunks:
            del chunks[place]
        elif way == "add":
            chunks.insert(place, (draw(st.sampled_from(_KINDS)), draw(st.binary(max_size=40))))
        elif way == "swap" and chunks:
            chunks.append(chunks.pop(place))
        elif way == "pixels":
            packed = zlib.compress(draw(st.binary(max_size=80)))
            chunks = [(k, packed if k == b"IDAT" else b) for k, b in chunks]
    return _SIGNATURE + b"".join(_to_bytes(*chunk) for chunk in chunks)


@st.composite
def _header(draw: DrawFn, body: bytes) -> bytes:
    """Width, height, depth, colour, compression, filter, interlace."""
    fields = list(struct.unpack(">IIBBBBB", body))
    place = draw(st.integers(0, 6))
    sizes = (0, 1, 7, 9, 65535, 1 << 20, 2**31 - 1, 2**32 - 1)
    fields[place] = draw(st.sampled_from(sizes if place < 2 else (0, 1, 2, 3, 4, 6, 8, 16, 255)))
    return struct.pack(">IIBBBBB", *fields)


def _chunks(data: bytes) -> list[Chunk]:
    found, place = [], len(_SIGNATURE)
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        found.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def _to_bytes(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def read_image(folder: Path) -> None:
    """A grey image, as it stands and as luma."""
    (path,) = (folder / "in").iterdir()
    luma = read_gray(path, as_luma=True)
    image = read_gray(path)
    assert image.ndim == 2
    assert image.shape == luma.shape


PNG = Kind(png_files().map(lambda data: {"slice.png": data}), read_image)
