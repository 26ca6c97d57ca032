"""Images as other programs write them, and what the reader makes of them."""

import io
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.image_io import read_gray
from utils.errors import UserError

RAMP = np.arange(6 * 8, dtype=np.uint8).reshape(6, 8) * 5


def tiff(
    pages: list[np.ndarray],
    *,
    order: str = "<",
    big: bool = False,
    num_previews: int = 0,
    **tags: int | bytes,
) -> bytes:
    """Uncompressed grey pages; further tags as t254=1; the last pages may be previews."""
    pointer, number = ("Q", "Q") if big else ("I", "H")
    pointer_code = 16 if big else 4
    out = bytearray(
        (b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", 43 if big else 42)
    )
    out += struct.pack(f"{order}HH", 8, 0) if big else b""
    place_of_next = len(out)
    out += struct.pack(order + pointer, 0)
    for index, page in enumerate(pages):
        pixels = len(out)
        out += page.astype(page.dtype.newbyteorder(order)).tobytes()
        extra = {int(tag[1:]): value for tag, value in tags.items()}
        texts = {}
        for tag, value in extra.items():
            if isinstance(value, bytes):
                texts[tag] = (len(out), len(value))
                out += value
        values = {
            256: page.shape[1], 257: page.shape[0], 258: page.dtype.itemsize * 8, 259: 1,
            262: 1, 273: pixels, 277: 1, 278: page.shape[0], 279: page.nbytes,
        } | extra  # fmt: skip
        if index >= len(pages) - num_previews:
            values[254] = 1
        struct.pack_into(order + pointer, out, place_of_next, len(out))
        out += struct.pack(order + number, len(values))
        for tag, value in sorted(values.items()):
            if tag in texts:
                offset, length = texts[tag]
                out += struct.pack(f"{order}HH{pointer}{pointer}", tag, 2, length, offset)
            else:
                out += struct.pack(f"{order}HH{pointer}{pointer}", tag, pointer_code, 1, value)
        place_of_next = len(out)
        out += struct.pack(order + pointer, 0)
    return bytes(out)


def saved(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def read(data: bytes, folder: Path, name: str = "a.png") -> np.ndarray:
    (folder / name).write_bytes(data)
    return read_gray(folder / name)


def refusal(data: bytes, folder: Path, name: str = "a.png") -> str:
    with pytest.raises(UserError, match=f"^{re.escape(str(folder / name))}: ") as caught:
        read(data, folder, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)
