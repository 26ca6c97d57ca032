"""JPEG, BMP, WebP and GIF: their bytes, and lengths of the segments of a JPEG."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.datasets.written_images import saved
from tests.fuzz.kind import Files, Kind
from tests.fuzz.kinds.png import read_image
from tests.fuzz.raw import spoil

_NOISE = np.random.default_rng(0).integers(0, 255, (24, 24)).astype(np.uint8)
_RGB = np.dstack([_NOISE] * 3)
_SEEDS = {
    "a.jpg": [
        saved(_NOISE, "JPEG"),
        saved(_NOISE, "JPEG", progressive=True),
        saved(
            _RGB, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\3\0\1\0\0\0\6\0\0\0\0\0\0\0"
        ),
    ],
    "a.bmp": [saved(_NOISE, "BMP"), saved(_RGB, "BMP"), saved(_NOISE > 100, "BMP")],
    "a.webp.png": [saved(_RGB, "WEBP", lossless=True), saved(_RGB, "WEBP")],
    "a.gif.png": [saved(_NOISE, "GIF")],
}
_MARKERS = b"\xd8\xd9\xda\xdb\xc0\xc1\xc2\xc3\xc4\xc9\xdd\xe0\xe1\xe2\xee\xfe\xff\x00\x01"


@st.composite
def image_files(draw: DrawFn) -> Files:
    """A spoilt file, mostly a JPEG."""
    name = draw(st.sampled_from(("a.jpg", *_SEEDS)))
    data = draw(st.sampled_from(_SEEDS[name]))
    if name == "a.jpg" and draw(st.booleans()):
        places = [
            i for i in range(len(data) - 4) if data[i] == 0xFF and data[i + 1] in _MARKERS[1:]
        ]
        place = draw(st.sampled_from(places))
        marker = (
            bytes([draw(st.sampled_from(_MARKERS))])
            if draw(st.booleans())
            else data[place + 1 : place + 2]
        )
        length = draw(
            st.sampled_from(
                (data[place + 2 : place + 4], b"\0\0", b"\0\1", b"\0\2", b"\xff\xff", b"\0\x11")
            )
        )
        data = data[: place + 1] + marker + length + data[place + 4 :]
        return {name: data}
    return {name: draw(spoil(data))}


OTHERS = Kind(image_files(), read_image)
