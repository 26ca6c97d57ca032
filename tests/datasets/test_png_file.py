"""PNG files whose checksums are right and whose content is not, and every way to store pixels."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from written_images import RAMP, read, refusal

from datasets.png_file import SIGNATURE

ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
ROWS = b"".join(b"\0" + row.tobytes() for row in RAMP)


def png(rows: bytes = ROWS, *, kinds: str = "IHDR IDAT IEND", **fields: int | bytes) -> bytes:
    """Chunks in the order of `kinds`; fields of the header, or bodies of other chunks."""
    header = {"width": 8, "height": 6, "depth": 8, "colour": 0, "packing": 0, "filtering": 0}
    header |= {"interlaced": 0}
    values = [fields.get(name, value) for name, value in header.items()]
    bodies = {"IHDR": struct.pack(">IIBBBBB", *values), "IDAT": zlib.compress(rows), "IEND": b""}
    chunks = [(kind.encode(), fields.get(kind, bodies.get(kind, b""))) for kind in kinds.split()]
    return SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


@pytest.mark.parametrize(
    "data",
    [
        png(ROWS[:-1]),
        png(b""),
        png(b"\5" + ROWS[1:]),
        png(IDAT=b"no pixels"),
        png(kinds="IHDR IEND"),
        png(kinds="IEND"),
        png(kinds="IDAT IHDR IEND"),
        png(IHDR=bytes(12)),
        png(width=0),
        png(width=2**31),
        png(height=1 << 20),
        png(width=1 << 20, height=1 << 20),
        png(depth=3),
        png(colour=1),
        png(colour=2, depth=4),
        png(packing=1),
        png(filtering=64),
        png(interlaced=2),
        png(interlaced=1),
        png(colour=3),
        png(colour=3, kinds="IHDR PLTE IDAT IEND", PLTE=bytes(5)),
        png(colour=3, kinds="IHDR PLTE IDAT IEND", PLTE=bytes(3 * 257)),
        png(colour=3, kinds="IHDR PLTE tRNS IDAT IEND", PLTE=bytes(3), tRNS=bytes(2)),
        png(kinds="IHDR tRNS IDAT IEND", tRNS=bytes(3)),
        png(kinds="IHDR IDAT"),
    ],
)
def test_what_is_against_the_specification_is_refused_in_silence(
    data: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "damaged PNG" in refusal(data, tmp_path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "data",
    [
        png(),
        png(ROWS + b"more than there is room for"),
        png(kinds="IHDR abcd IDAT IEND", abcd=b"?"),
        png(kinds="IHDR PLTE IDAT IEND", PLTE=bytes(6)),
        png(kinds="IHDR tRNS IDAT IEND", tRNS=b"\7\1"),
        png(
            interlaced=1,
            rows=b"".join(
                b"\0" + row.tobytes()
                for column, first, step, step_down in ADAM7
                for row in RAMP[first::step_down, column::step]
                if row.size
            ),
        ),
    ],
)
def test_what_is_not_is_read_in_silence(
    data: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    np.testing.assert_array_equal(read(data, tmp_path), RAMP)
    assert capfd.readouterr().err == ""


def test_of_a_transparent_level_only_the_bits_of_the_pixels_count(tmp_path: Path) -> None:
    data = png(kinds="IHDR tRNS IDAT IEND", tRNS=b"\7" + RAMP[2, 2].tobytes())
    assert "transparent" in refusal(data, tmp_path)


@pytest.mark.parametrize("depth", [1, 2, 4, 16])
def test_rows_of_every_depth_are_as_long_as_they_should_be(depth: int, tmp_path: Path) -> None:
    num_bytes = (5 * depth + 7) // 8
    data = png((b"\0" + bytes(num_bytes)) * 6, width=5, depth=depth)
    assert read(data, tmp_path).shape == (6, 5)
    refusal(png((b"\0" + bytes(num_bytes)) * 6, width=5 + 8, depth=depth), tmp_path)
