"""Images of slices: grey PNG, JPEG, BMP or TIFF of 8 or 16 bits are read, PNG is written."""

from pathlib import Path

import cv2
import numpy as np

from datasets.decoder import decode, decode_strictly
from datasets.image_formats import ImageHeader, read_header
from datasets.stand_ins import describe_stand_in
from utils.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
# Run-length coding is the fastest strategy, and on noise no larger than the default.
_PNG_OPTIONS = (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
# Of the brightest level: how far JPEG and WebP let the channels of a grey picture drift apart.
_LOSSY_TINT = 1 / 16


def read_gray(path: Path, *, as_luma: bool = False, on_black: bool = False) -> np.ndarray:
    """A grey image as stored, upright as its orientation (EXIF, TIFF) says.

    Args:
        path: The file; its content decides on the format, not its name. Three equal channels count
            as grey, and nearly equal ones where the format is lossy.
        as_luma: Take the luma (ITU-R BT.601) of a coloured or palette image instead of refusing it.
        on_black: Lay a see-through image on black instead of refusing it.

    Returns:
        (H, W) uint8 or uint16, black being 0.

    Raises:
        UserError: The file cannot be read, is damaged or truncated, is coloured or see-through, or
            holds several pages.
    """
    image, header = _load(path)
    if on_black:
        image = _on_black(image, header)
    else:
        _check_opaque(image, header, path)
    if image.ndim == 3:
        image = _to_one_channel(image[..., :3], header, as_luma, path)
    if header.white and image.dtype == np.uint16:
        image = header.white - image
    return image if header.orientation == 1 else _turn(image, header.orientation)


def read_painted(path: Path) -> np.ndarray:
    """Where a drawing is neither black nor see-through, upright as its orientation says.

    Args:
        path: Grey, coloured or palette image.

    Returns:
        (H, W) bool.

    Raises:
        UserError: As read_gray, but for colours and see-through px.
    """
    image, header = _load(path)
    image = _on_black(image, header)
    painted = image > 0 if image.ndim == 2 else (image > 0).any(axis=2)
    return painted if header.orientation == 1 else _turn(painted, header.orientation)


def _load(path: Path) -> tuple[np.ndarray, ImageHeader]:
    """An image as stored, with what its header says."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore the file") from error
    if stand_in := describe_stand_in(data):
        raise UserError(f"{path}: {stand_in}")
    try:
        header = read_header(data)
        _check_pages(header, path)
        # What is left of a PNG leaves nothing to be warned of.
        image = (decode if header.kind == "PNG" else decode_strictly)(header.pixels)
        if image is None:
            raise ValueError("not a readable image: empty, truncated or damaged")
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{path}: {error}; restore it or remove it with its pair") from error
    if image.dtype not in (np.uint8, np.uint16):
        raise UserError(f"{path}: {image.dtype} pixels; store 8 or 16 bit grey levels")
    return image, header


def _check_pages(header: ImageHeader, path: Path) -> None:
    """Refuse what a decoder would take the first picture or channel of without a word."""
    if header.num_pages > 1:
        raise UserError(
            f"{path}: {header.num_pages} pages in one {header.kind}; save each page as a file of "
            "its own"
        )
    if header.num_samples == 2:
        raise UserError(f"{path}: a {header.kind} of two channels; save the grey one alone")
    if header.kind == "GIF":
        raise UserError(f"{path}: a GIF; save it as PNG")


def _check_opaque(image: np.ndarray, header: ImageHeader, path: Path) -> None:
    """Refuse what lets shine through another picture: its levels are not what is seen."""
    if header.is_translucent:
        is_opaque = False
    elif image.ndim == 3 and image.shape[2] == 4:
        is_opaque = bool((image[..., 3] == np.iinfo(image.dtype).max).all())
    else:
        grey = image if image.ndim == 2 else image[..., 0]
        is_opaque = header.transparent is None or not (grey == header.transparent).any()
    if not is_opaque:
        raise UserError(f"{path}: a transparent image; save it without alpha channel, opaque")


def _on_black(image: np.ndarray, header: ImageHeader) -> np.ndarray:
    """Without an alpha channel: what shines through is black."""
    if image.ndim == 3 and image.shape[2] == 4:
        alpha = image[..., 3:].astype(np.float32) / np.iinfo(image.dtype).max
        return np.rint(image[..., :3] * alpha).astype(image.dtype)
    if header.transparent is not None:
        grey = image if image.ndim == 2 else image[..., 0]
        image = image.copy()
        image[grey == header.transparent] = 0
    return image


def _to_one_channel(
    image: np.ndarray, header: ImageHeader, as_luma: bool, path: Path
) -> np.ndarray:
    """The grey levels of colours (H, W, 3)."""
    if (image == image[..., :1]).all():
        return np.ascontiguousarray(image[..., 0])
    drift = int(np.ptp(image, axis=2).max())
    if not as_luma and not (header.is_lossy and drift <= _LOSSY_TINT * image.max()):
        raise UserError(f"{path}: a coloured image; store one grey channel")
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def _turn(image: np.ndarray, orientation: int) -> np.ndarray:
    """Upright from how it is stored, by the orientation of EXIF."""
    if orientation in (5, 6, 7, 8):
        image = image.T
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write grey levels, or colours (H, W, 3) in OpenCV's order BGR.

    Raises:
        OSError: The disk is full or read-only.
    """
    path.write_bytes(cv2.imencode(".png", pixels, _PNG_OPTIONS)[1])
