"""Images of slices: grey PNG, JPEG, BMP or TIFF of 8 or 16 bits are read, PNG is written."""

import zlib
from pathlib import Path

import cv2
import numpy as np

from utils.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
# Run-length coding is the fastest strategy, and on noise no larger than the default.
_PNG_OPTIONS = (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read_gray(path: Path, *, as_luma: bool = False) -> np.ndarray:
    """A grey image as stored.

    Args:
        path: The file. Three equal channels count as grey.
        as_luma: Take the luma (ITU-R BT.601) of a coloured or palette image instead of refusing it.

    Returns:
        (H, W) uint8 or uint16.

    Raises:
        UserError: The file cannot be read, is damaged or truncated, or is coloured.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore the file") from error
    if path.suffix.lower() == ".png":
        _check_png(data, path)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # an empty file, or a damaged header that asks for too much memory
        image = None
    if image is None:
        raise UserError(f"{path}: not a readable image; restore it or remove it with its pair")
    if image.dtype not in (np.uint8, np.uint16):
        raise UserError(f"{path}: {image.dtype} pixels; store 8 or 16 bit grey levels")
    if image.ndim == 3:
        is_coloured = bool((image[..., :3] != image[..., :1]).any())
        if is_coloured and not as_luma:
            raise UserError(f"{path}: a coloured image; store one grey channel")
        grey = cv2.cvtColor(image[..., :3], cv2.COLOR_BGR2GRAY) if is_coloured else image[..., 0]
        image = np.ascontiguousarray(grey)
    return image


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write grey levels, or colours (H, W, 3) in OpenCV's order BGR.

    Raises:
        OSError: The disk is full or read-only.
    """
    path.write_bytes(cv2.imencode(".png", pixels, _PNG_OPTIONS)[1])


def _check_png(data: bytes, path: Path) -> None:
    """Walk the chunks with their checksums: a decoder returns half an image without complaint."""
    position, kind = len(_PNG_SIGNATURE), b""
    whole = data.startswith(_PNG_SIGNATURE)
    while whole and kind != b"IEND":
        length = int.from_bytes(data[position : position + 4], "big")
        body = data[position + 4 : position + 8 + length]
        checksum = data[position + 8 + length : position + 12 + length]
        whole = len(checksum) == 4 and zlib.crc32(body) == int.from_bytes(checksum, "big")
        kind, position = body[:4], position + 12 + length
    if not whole:
        raise UserError(
            f"{path}: a truncated or damaged PNG; restore it or remove it with its pair"
        )
