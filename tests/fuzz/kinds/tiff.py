"""TIFF: entries of its directories changed, and bytes."""

import struct

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.datasets.written_images import RAMP, saved, tiff
from tests.fuzz.kind import Kind
from tests.fuzz.kinds.png import read_image
from tests.fuzz.raw import spoil

_NOISE = np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8)
_SEEDS = [
    tiff([RAMP]),
    tiff([RAMP.astype(np.uint16) * 200]),
    tiff([RAMP], order=">"),
    tiff([RAMP], big=True),
    tiff([RAMP, RAMP]),
    tiff([RAMP, RAMP], num_previews=1),
    tiff([RAMP], t262=0),
    *(
        saved(_NOISE, "TIFF", compression=c)
        for c in ("tiff_adobe_deflate", "tiff_lzw", "packbits", "jpeg")
    ),
    saved(_NOISE.astype(np.float32), "TIFF"),
    saved(np.dstack([_NOISE] * 3), "TIFF", compression="tiff_lzw"),
    saved(_NOISE > 100, "TIFF", compression="group4"),
]
_TAGS = (254, 256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 282, 284, 296, 317, 320,
         322, 323, 324, 325, 338, 339, 347, 530, 34665, 65000)  # fmt: skip
_VALUES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 32, 64, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1, 32946,
           34712, 50000, 32773, 32845)  # fmt: skip


@st.composite
def tiff_files(draw: DrawFn) -> bytes:
    """A spoilt file."""
    data = draw(st.sampled_from(_SEEDS))
    if draw(st.integers(0, 3)):
        data = draw(_with_entries(data))
    return draw(spoil(data)) if draw(st.integers(0, 2)) == 0 else data


@st.composite
def _with_entries(draw: DrawFn, data: bytes) -> bytes:
    """Entries of the first directory with another tag, type, count or value."""
    order = ">" if data.startswith(b"MM") else "<"
    is_big = data[2:4] in (b"+\0", b"\0+")
    pointer, number, size = ("Q", "Q", 20) if is_big else ("I", "H", 12)
    (start,) = struct.unpack_from(order + pointer, data, 8 if is_big else 4)
    (count,) = struct.unpack_from(order + number, data, start)
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        place = start + struct.calcsize(f"<{number}") + size * draw(st.integers(0, count - 1))
        field = draw(st.sampled_from(("value", "value", "value", "count", "type", "tag")))
        at = (
            place
            + {"tag": 0, "type": 2, "count": 4, "value": size - struct.calcsize(f"<{pointer}")}[
                field
            ]
        )
        if field in ("tag", "type"):
            values = _TAGS if field == "tag" else (0, *range(1, 19), 255, 65535)
            struct.pack_into(f"{order}H", changed, at, draw(st.sampled_from(values)))
        else:
            value = draw(st.sampled_from(_VALUES) | st.integers(0, len(data) + 8))
            is_short = not is_big and field == "value" and draw(st.booleans())
            if is_short:
                struct.pack_into(f"{order}H", changed, at, value & 0xFFFF)
            else:
                struct.pack_into(order + pointer, changed, at, value)
    return bytes(changed)


TIFF = Kind(tiff_files().map(lambda data: {"slice.tif": data}), read_image)
