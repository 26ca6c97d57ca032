"""The image reader on what other programs write: pages, orientation, transparency."""

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from written_images import RAMP, read, refusal, saved, tiff

UPRIGHT = {
    1: RAMP,
    2: RAMP[:, ::-1],
    3: RAMP[::-1, ::-1],
    4: RAMP[::-1],
    5: RAMP.T,
    6: np.rot90(RAMP, -1),
    7: RAMP[::-1, ::-1].T,
    8: np.rot90(RAMP),
}


def with_orientation(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = orientation
    return exif


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_an_image_is_turned_upright(orientation: int, kind: str, tmp_path: Path) -> None:
    options = {"JPEG": {"quality": 100}, "WEBP": {"lossless": True}}.get(kind, {})
    data = saved(RAMP, kind, exif=with_orientation(orientation), **options)
    image, expected = read(data, tmp_path), UPRIGHT[orientation]
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= (6 if kind == "JPEG" else 0)


@pytest.mark.parametrize("orientation", [0, 9, 700])
def test_an_orientation_without_meaning_is_none(orientation: int, tmp_path: Path) -> None:
    data = saved(RAMP, "PNG", exif=with_orientation(orientation))
    np.testing.assert_array_equal(read(data, tmp_path), RAMP)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_black_is_0_in_a_tiff_that_counts_from_white(
    order: str, big: bool, dtype: type, tmp_path: Path
) -> None:
    pixels = RAMP.astype(dtype)
    np.testing.assert_array_equal(
        read(tiff([pixels], order=order, big=big), tmp_path, "a.tif"), pixels
    )
    inverted = read(tiff([pixels], order=order, big=big, t262=0), tmp_path, "a.tif")
    assert inverted.dtype == dtype
    np.testing.assert_array_equal(inverted, np.iinfo(dtype).max - pixels)


def packed(levels: np.ndarray, bits: int, *, photometric: int) -> bytes:
    """An uncompressed TIFF of any number of bits, the first one the highest."""
    rows = ["".join(format(level, f"0{bits}b") for level in row) for row in levels.tolist()]
    rows = [row + "0" * (-len(row) % 8) for row in rows]
    pixels = b"".join(int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)
    height, width = levels.shape
    tags = {
        256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height,
        279: len(pixels),
    }  # fmt: skip
    entries = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = struct.pack(">2sHI", b"MM", 42, 8 + len(pixels))
    return head + pixels + struct.pack(">H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 10, 12, 14, 16])
def test_a_tiff_of_any_depth_that_counts_from_white_is_right_or_refused(
    bits: int, tmp_path: Path
) -> None:
    levels = np.arange(48).reshape(6, 8) * (2**bits - 1) // 47
    black, white = (packed(levels, bits, photometric=kind) for kind in (1, 0))
    if bits in (2, 4):
        for data in (black, white):
            assert "not a readable image" in refusal(data, tmp_path, "a.tif")
        return
    image, inverted = (read(data, tmp_path, "a.tif") for data in (black, white))
    assert (image[0, 0], image[-1, -1], inverted[-1, -1]) == (0, inverted[0, 0], 0)
    np.testing.assert_array_equal(inverted, image.max() - image)
    np.testing.assert_allclose(image / image.max(), levels / levels.max(), atol=1e-9)


@pytest.mark.parametrize("alpha", [0, 128, 255, RAMP])
def test_a_bmp_with_alpha_in_its_reserved_bytes_is_refused(
    alpha: int | np.ndarray, tmp_path: Path
) -> None:
    pixels = np.dstack([RAMP] * 3 + [np.broadcast_to(np.uint8(alpha), RAMP.shape)])
    size = pixels.nbytes
    head = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54 + size, 0, 0, 54, 40, 8, 6, 1, 32, 0, size,
                       0, 0, 0, 0)  # fmt: skip
    data = head + pixels[::-1].tobytes()
    if np.size(alpha) == 1 and alpha in (0, 255):  # nothing, or all of it
        np.testing.assert_array_equal(read(data, tmp_path, "a.bmp"), RAMP)
    else:
        assert "transparent" in refusal(data, tmp_path, "a.bmp")


@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_of_several_pages_is_refused_with_their_number(big: bool, tmp_path: Path) -> None:
    assert "7 pages" in refusal(tiff([RAMP] * 7, big=big), tmp_path, "a.tif")
    description = b"ImageJ=1.53t\nimages=12\nslices=12\n\0"
    assert "12 pages" in refusal(tiff([RAMP], t270=description), tmp_path, "a.tif")


def test_a_preview_is_no_page(tmp_path: Path) -> None:
    data = tiff([RAMP, RAMP[::2, ::2]], num_previews=1)
    np.testing.assert_array_equal(read(data, tmp_path, "a.tif"), RAMP)
    assert "2 pages" in refusal(tiff([RAMP] * 3, num_previews=1), tmp_path, "a.tif")


def test_a_ring_of_pages_is_damage(tmp_path: Path) -> None:
    data = bytearray(tiff([RAMP]))
    data[-4:] = data[4:8]  # the next page is the first again
    assert "damaged TIFF" in refusal(bytes(data), tmp_path, "a.tif")


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_refused(kind: str, tmp_path: Path) -> None:
    others = [Image.fromarray(255 - RAMP), Image.fromarray(RAMP // 2)]
    data = saved(RAMP, kind, save_all=True, append_images=others)
    assert "3 pages" in refusal(data, tmp_path)


def test_a_gif_is_refused_by_name(tmp_path: Path) -> None:
    assert "a GIF; save it as PNG" in refusal(saved(RAMP, "GIF"), tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_transparency_is_refused_and_an_opaque_alpha_is_not(kind: str, tmp_path: Path) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = np.dstack([RAMP] * 3 + [np.full_like(RAMP, 255)])
    np.testing.assert_array_equal(read(saved(pixels, kind, **options), tmp_path), RAMP)
    pixels[2, 3, 3] = 254
    assert "transparent" in refusal(saved(pixels, kind, **options), tmp_path)


def test_a_transparent_level_is_refused_where_it_occurs(tmp_path: Path) -> None:
    assert "transparent" in refusal(saved(RAMP, "PNG", transparency=10), tmp_path)
    np.testing.assert_array_equal(read(saved(RAMP, "PNG", transparency=11), tmp_path), RAMP)


def test_a_grey_tiff_with_an_alpha_channel_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.merge("LA", [Image.fromarray(RAMP)] * 2).save(stream, "TIFF")
    assert "two channels" in refusal(stream.getvalue(), tmp_path, "a.tif")


@pytest.mark.parametrize(("kind", "loss"), [("JPEG", 6), ("TIFF", 0), ("BMP", 0), ("WEBP", 6)])
def test_content_and_not_the_name_decides_on_the_format(
    kind: str, loss: int, tmp_path: Path
) -> None:
    options = {"quality": 100} if loss else {}
    for name in ("a.png", "a.jpg", "a.tif"):
        image = read(saved(RAMP, kind, **options), tmp_path, name)
        assert np.abs(image.astype(int) - RAMP).max() <= loss


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_grey_picture_with_a_touch_of_colour_is_grey_where_the_format_is_lossy(
    kind: str, tmp_path: Path
) -> None:
    grey = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (48, 48), np.uint8), None, 3)
    grey = cv2.normalize(grey, None, 0, 240, cv2.NORM_MINMAX).astype(np.int16)
    drifted = np.dstack([grey + 3, grey, grey - 3]).clip(0, 255).astype(np.uint8)
    image = read(saved(drifted, kind, quality=95), tmp_path)
    assert np.abs(image.astype(int) - grey).mean() < 3
    red = np.dstack([grey, grey // 2, grey // 2]).astype(np.uint8)
    assert "coloured" in refusal(saved(red, kind, quality=95), tmp_path)
    assert "coloured" in refusal(saved(drifted, "PNG"), tmp_path)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>Quota exceeded</html>", "a web page"),
        (b"\xef\xbb\xbf<html lang='en'>", "a web page"),
    ],
)
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_what_stands_in_for_a_file_is_named(
    content: bytes, part: str, name: str, tmp_path: Path
) -> None:
    assert part in refusal(content, tmp_path, name)
