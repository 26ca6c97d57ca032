"""Damaged images: one clear error, and not a word of the decoder's own."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from written_images import RAMP, read, refusal, saved, tiff

from utils.errors import UserError


def noise_jpeg(**options: object) -> bytes:
    pixels = np.random.default_rng(2).integers(0, 255, (96, 96), np.uint8)
    return saved(pixels, "JPEG", **options)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}])
@pytest.mark.parametrize("tail", [8, 200, 2000])
def test_a_jpeg_with_a_zero_tail_is_refused(
    options: dict, tail: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = noise_jpeg(**options)
    assert "damaged JPEG" in refusal(data[:-tail] + bytes(tail), tmp_path, "a.jpg")
    assert "damaged JPEG" in refusal(data[:-tail], tmp_path, "a.jpg")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("fill", [b"", bytes(500)])
def test_what_the_decoder_of_jpeg_warns_of_is_damage(
    fill: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = noise_jpeg()
    middle = len(data) // 2
    damaged = data[:middle] + fill + data[middle + 500 :]
    assert "Corrupt JPEG data" in refusal(damaged, tmp_path, "a.jpg")
    assert capfd.readouterr().err == ""


def test_a_jpeg_with_something_behind_its_end_is_whole(tmp_path: Path) -> None:
    data = noise_jpeg()
    np.testing.assert_array_equal(read(data + bytes(100), tmp_path), read(data, tmp_path))


@pytest.mark.parametrize("compression", ["tiff_adobe_deflate", "tiff_lzw", "packbits", "jpeg"])
def test_a_tiff_with_a_damaged_strip_is_refused(
    compression: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pixels = cv2.GaussianBlur(
        np.random.default_rng(3).integers(0, 255, (90, 90), np.uint8), None, 2
    )
    data = saved(pixels, "TIFF", compression=compression)
    image = read(data, tmp_path, "a.tif")
    assert np.abs(image.astype(int) - pixels).max() <= (40 if compression == "jpeg" else 0)
    middle = len(data) // 2
    refusal(data[:middle] + bytes(100) + data[middle + 100 :], tmp_path, "a.tif")
    assert capfd.readouterr().err == ""


def test_a_tag_that_nobody_knows_is_no_damage(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    np.testing.assert_array_equal(read(tiff([RAMP], t65000=7), tmp_path, "a.tif"), RAMP)
    assert capfd.readouterr().err == ""


def test_a_profile_that_makes_no_sense_is_not_complained_of(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = saved(RAMP, "PNG")
    body = b"iCCP" + b"x\0\0junk"
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    np.testing.assert_array_equal(read(data[:33] + chunk + data[33:], tmp_path), RAMP)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("place", [2, 40, -5, None], ids=["start", "middle", "end", "cut"])
def test_a_png_with_a_damaged_stream_under_a_right_checksum_is_refused(
    place: int | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = saved(np.random.default_rng(2).integers(0, 255, (60, 60), np.uint8), "PNG")
    start = data.index(b"IDAT")
    (length,) = struct.unpack_from(">I", data, start - 4)
    stream = bytearray(data[start + 4 : start + 4 + length])
    if place is None:
        del stream[length // 2 :]
    else:
        stream[place] ^= 0x55
    chunk = b"IDAT" + bytes(stream)
    damaged = data[: start - 4] + struct.pack(">I", len(stream)) + chunk
    damaged += struct.pack(">I", zlib.crc32(chunk)) + data[start + 8 + length :]
    assert "damaged" in refusal(damaged, tmp_path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP", "BMP"])
def test_any_bytes_are_an_image_or_one_clear_error(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data, rng = saved(RAMP, kind), np.random.default_rng(4)
    for _ in range(300):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        message = f"{tmp_path / 'a.png'}: "
        try:
            assert read(bytes(damaged), tmp_path).ndim == 2
        except UserError as error:
            message = str(error)
        assert message.startswith(f"{tmp_path / 'a.png'}: ")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("offset", [2**63, 2**64 - 1])
def test_a_tiff_whose_directory_lies_beyond_all_files_is_refused(
    offset: int, tmp_path: Path
) -> None:
    data = bytearray(tiff([RAMP], big=True))
    struct.pack_into("<Q", data, 8, offset)
    assert "damaged TIFF" in refusal(bytes(data), tmp_path, "a.tif")


def test_a_tiff_of_too_many_channels_is_not_complained_of(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refusal(tiff([RAMP], t277=145), tmp_path, "a.tif")
    assert capfd.readouterr().err == ""
