"""The image reader: exact grey levels, or one clear error; never half an image."""

import re
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.image_io import read_gray
from utils.errors import UserError


def grey(dtype: type[np.unsignedinteger], shape: tuple[int, ...] = (12, 9)) -> np.ndarray:
    """Noise over the whole range of a type."""
    top = int(np.iinfo(dtype).max)
    return np.random.default_rng(5).integers(0, top, shape, dtype=dtype, endpoint=True)


def write(path: Path, pixels: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), pixels)
    return path


def chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def png(width: int, height: int, depth: int, rows: bytes, *extra: bytes, color: int = 0) -> bytes:
    """A PNG by hand; every checksum is right, whatever the header claims."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = b"".join([chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows))])
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def refusal(path: Path) -> str:
    with pytest.raises(UserError, match=f"^{re.escape(str(path))}: ") as caught:
        read_gray(path)
    return str(caught.value)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".PNG", ".tif", ".tiff"])
def test_grey_levels_are_read_as_stored(
    dtype: type[np.unsignedinteger], suffix: str, tmp_path: Path
) -> None:
    pixels = grey(dtype)
    image = read_gray(write(tmp_path / f"a{suffix}", pixels))
    assert image.dtype == dtype
    np.testing.assert_array_equal(image, pixels)


def test_bmp_is_read_as_stored(tmp_path: Path) -> None:
    pixels = grey(np.uint8)
    np.testing.assert_array_equal(read_gray(write(tmp_path / "a.bmp", pixels)), pixels)


def test_jpeg_is_read_up_to_its_loss(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 240, 10, dtype=np.uint8), (16, 1))
    image = read_gray(write(tmp_path / "a.jpg", ramp))
    assert (image.shape, image.dtype) == ((16, 24), np.uint8)
    assert np.abs(image.astype(int) - ramp).max() <= 5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("num_channels", [3, 4])
def test_grey_stored_as_equal_channels_is_grey(
    dtype: type[np.unsignedinteger], num_channels: int, tmp_path: Path
) -> None:
    pixels = grey(dtype)
    channels = np.repeat(pixels[..., None], num_channels, axis=2)
    if num_channels == 4:
        channels[..., 3] = np.iinfo(dtype).max  # opaque
    image = read_gray(write(tmp_path / "a.png", channels))
    assert image.dtype == dtype
    np.testing.assert_array_equal(image, pixels)


def test_a_one_bit_png_is_read_as_0_and_255(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(8, 1, 1, bytes([0, 0b10100001])))  # filter 0, then eight pixels
    assert read_gray(path).tolist() == [[255, 0, 255, 0, 0, 0, 0, 255]]


def test_a_palette_of_greys_is_grey_and_one_of_colours_is_not(tmp_path: Path) -> None:
    path, rows = tmp_path / "a.png", bytes([0, 0, 1, 1, 0])  # filter 0, then four indices
    palette = bytes([0, 0, 0, 2, 2, 2])
    path.write_bytes(png(4, 1, 8, rows, chunk(b"PLTE", palette), color=3))
    assert read_gray(path).tolist() == [[0, 2, 2, 0]]
    palette = bytes([0, 0, 0, 128, 0, 0])
    path.write_bytes(png(4, 1, 8, rows, chunk(b"PLTE", palette), color=3))
    assert "coloured" in refusal(path)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_one_coloured_pixel_is_refused(channel: int, tmp_path: Path) -> None:
    pixels = np.repeat(grey(np.uint8)[..., None], 3, axis=2)
    pixels[7, 3, channel] ^= 1
    assert "coloured" in refusal(write(tmp_path / "a.png", pixels))


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pixels_other_than_8_or_16_bit_are_refused(dtype: type, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tiff", grey(np.uint8).astype(dtype))
    assert np.dtype(dtype).name in refusal(path)


def test_a_png_cut_off_at_any_byte_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", grey(np.uint8))
    data = path.read_bytes()
    assert len(data) > 100
    for length in range(len(data)):
        path.write_bytes(data[:length])
        assert "truncated" in refusal(path), length


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".tif"])
def test_another_format_cut_off_in_its_pixels_is_refused(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a{suffix}", grey(np.uint8, (64, 48)))
    data = path.read_bytes()
    for fraction in (0.01, 0.3, 0.6, 0.9):
        path.write_bytes(data[: int(fraction * len(data))])
        refusal(path)


def test_a_png_with_any_one_byte_changed_in_its_pixels_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", grey(np.uint8))
    data = path.read_bytes()
    start = data.index(b"IDAT") + 4
    length = int.from_bytes(data[start - 8 : start - 4], "big")
    assert length > 50
    for position in range(start, start + length):
        damaged = bytearray(data)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        assert "damaged" in refusal(path), position
    path.write_bytes(data)
    np.testing.assert_array_equal(read_gray(path), grey(np.uint8))


def test_a_png_with_too_few_pixels_under_a_right_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(8, 8, 8, bytes(9)))  # the first of eight rows
    refusal(path)


@pytest.mark.parametrize("side", [0, 200_000])
def test_a_header_with_an_impossible_size_is_refused(side: int, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(side, side, 8, b"\0"))
    refusal(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("content", [b"", b"no image but a text\n" * 20], ids=["empty", "text"])
def test_a_file_that_is_no_image_is_refused(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    assert "restore it" in refusal(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be read (No such file" in refusal(tmp_path / "a.png")
    (tmp_path / "folder.png").mkdir()
    assert "cannot be read" in refusal(tmp_path / "folder.png")
