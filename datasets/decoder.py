"""OpenCV as a decoder that is strict: what it warns of is an error, and it says nothing itself."""

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import cv2
import numpy as np

_STDERR = 2
# libjpeg, libpng, libtiff with its codecs, and OpenCV itself.
_IS_DECODERS = re.compile(
    r"^(\[ *(WARN|ERROR|INFO|DEBUG)|OpenCV|libpng |Corrupt JPEG|Premature end of JPEG"
    r"|Inconsistent prog|Invalid SOS|Warning: unknown JFIF|Unknown Adobe|> )|TIFF"
)
# Not of tags that the library does not know, which many programs write.
_IS_DAMAGE = re.compile(
    r"^Corrupt JPEG|^Premature end|^Inconsistent prog|^Invalid SOS|TIFF_Error"
    r"|TIFF.*(Decode|JPEGLib|Strip|Tile|Scanline)"
)
_PREFIX = re.compile(r"^\[.*?\] global \S+ (TIFF_\w+ )?")
_one_at_a_time = threading.Lock()
# A process that is forked meanwhile would keep the file as its stderr, and the lock for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_one_at_a_time.acquire,
        after_in_parent=_one_at_a_time.release,
        after_in_child=_one_at_a_time.release,
    )


def decode(data: bytes) -> np.ndarray | None:
    """The pixels as stored, None for what is no image.

    Returns:
        (H, W), or (H, W, C) in OpenCV's order BGR or BGRA.
    """
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # an empty file, or a damaged header that asks for too much memory
        return None


def decode_strictly(data: bytes) -> np.ndarray | None:
    """See decode; one at a time.

    libjpeg and libtiff go on after damage with what they can guess, and tell stderr alone.

    Raises:
        ValueError: The decoder warned; with its words.
    """
    lines: list[str] = []
    with _one_at_a_time, _captured(lines):
        image = decode(data)
    damage = [line for line in lines if _IS_DAMAGE.search(line)]
    if damage and image is not None:
        raise ValueError(_PREFIX.sub("", damage[0]).strip())
    return image


def _open_scratch() -> BinaryIO:
    """A file in memory where the system has such, so that no full disk is in the way."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("decoder"), "w+b")
    return tempfile.TemporaryFile()


@contextmanager
def _captured(lines: list[str]) -> Iterator[None]:
    """Take what the decoder writes to stderr; what others write meanwhile is passed on."""
    try:
        stderr = os.dup(_STDERR)
    except OSError:  # closed: there is nothing to be kept clean
        yield
        return
    level = cv2.utils.logging.getLogLevel()
    with _open_scratch() as file:
        os.dup2(file.fileno(), _STDERR)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_DEBUG)
        try:
            yield
        finally:
            cv2.utils.logging.setLogLevel(level)
            os.dup2(stderr, _STDERR)
            os.close(stderr)
            file.seek(0)
            text = file.read().decode(errors="replace")
    found = text.splitlines(keepends=True)
    lines += [line for line in found if _IS_DECODERS.search(line)]
    others = "".join(line for line in found if line.strip() and not _IS_DECODERS.search(line))
    if others:
        with suppress(OSError):
            os.write(_STDERR, others.encode())
