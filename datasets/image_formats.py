"""What the bytes of an image file say of it: format, wholeness, orientation, transparency."""

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from datasets.png_file import SIGNATURE, DamagedPngError, mask_levels, read_chunks, rebuild

# In the pixels of a JPEG 0xFF stands before 0 or a restart marker only.
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_EXIF = b"Exif\0\0"
_IMAGEJ_PAGES = re.compile(rb"ImageJ=[^\0]*?\nimages=(\d+)")
_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC, _DESCRIPTION = 254, 258, 259, 262, 270
_ORIENTATION, _SAMPLES = 274, 277
_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES = 273, 279, 324, 325
_DEFLATE = (8, 32946)
_BMP_INFO = 40  # bytes of its header from Windows 3 on
_REDUCED_OR_MASK = 1 | 4
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # fields of TIFF, as struct calls them
_MAX_PAGES = 100_000


class ImageHeader(NamedTuple):
    """What a decoder leaves out or does not say.

    Attributes:
        kind: PNG, JPEG, TIFF, WebP, BMP or GIF; other where none of them.
        pixels: The file, or what of it concerns the pixels.
        is_lossy: Whether grey levels are kept only nearly.
        orientation: 1 to 8 as in EXIF, of the stored pixels; 1 where the decoder turns them.
        num_pages: Pictures in the file.
        num_samples: Values per pixel where the file says so, else 1.
        white: What 16-bit levels count down from, as the decoder leaves them; 0 where they count
            from black.
        is_translucent: Whether there is an alpha channel that the decoder drops.
        transparent: The grey level that is see-through, as decoded; None without one.
    """

    kind: str
    pixels: bytes
    is_lossy: bool = False
    orientation: int = 1
    num_pages: int = 1
    num_samples: int = 1
    white: int = 0
    is_translucent: bool = False
    transparent: int | None = None


def read_header(data: bytes) -> ImageHeader:
    """The header of an image, told by content and never by the name of its file.

    Raises:
        ValueError: It is truncated or damaged; a decoder may return half of it without complaint.
    """
    for signatures, read in _FORMATS:
        if data.startswith(signatures) and (read is not _read_webp or data[8:12] == b"WEBP"):
            try:
                return read(data)
            except (struct.error, IndexError, OverflowError, zlib.error, DamagedPngError) as error:
                raise ValueError(f"a truncated or damaged {_NAMES[read]}") from error
    return ImageHeader("GIF" if data.startswith(b"GIF8") else "other", data)


def _read_png(data: bytes) -> ImageHeader:
    """Walk the chunks with their checksums; keep the pixels alone."""
    chunks = read_chunks(data)
    pixels = rebuild(chunks)
    header, exif = chunks[b"IHDR"], chunks.get(b"eXIf")
    depth, colour = header[8], header[9]
    transparent = None
    if colour == 0 and b"tRNS" in chunks:
        level = int.from_bytes(mask_levels(chunks[b"tRNS"], depth), "big")
        transparent = level * 255 // (2**depth - 1) if depth < 8 else level
    return ImageHeader(
        "PNG",
        pixels,
        orientation=_exif_orientation(exif) if exif else 1,
        num_pages=max(1, int.from_bytes(chunks.get(b"acTL", b"")[:4], "big")),
        transparent=transparent,
    )


def _read_jpeg(data: bytes) -> ImageHeader:
    """Walk the segments up to the end of the image; what comes behind it is nobody's."""
    position, orientation = 2, 1
    while True:
        if data[position] != 0xFF:
            raise struct.error
        while data[position] == 0xFF:
            position += 1
        marker = data[position]
        if marker == 0xD9:
            return ImageHeader("JPEG", data, is_lossy=True, orientation=orientation)
        (length,) = struct.unpack_from(">H", data, position + 1)
        body = data[position + 3 : position + 1 + length]
        if marker == 0xE1 and body.startswith(_EXIF):
            orientation = _exif_orientation(body[len(_EXIF) :])
        position += 1 + length
        if marker == 0xDA:
            end = _AFTER_SCAN.search(data, position)
            if end is None:
                raise struct.error
            position = end.start()


def _read_webp(data: bytes) -> ImageHeader:
    """Walk the chunks of the RIFF container."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise struct.error
    position, chunks = 12, {}
    while position + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, position)
        chunks.setdefault(kind, data[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    exif = chunks.get(b"EXIF", b"").removeprefix(_EXIF)
    frames = data.count(b"ANMF", 0, end) if b"ANIM" in chunks else 1
    return ImageHeader(
        "WebP",
        data,
        is_lossy=b"VP8 " in chunks,
        orientation=_exif_orientation(exif) if exif else 1,
        num_pages=max(1, frames),
    )


def _read_tiff(data: bytes) -> ImageHeader:
    """Read the tags of every page. The decoder itself turns a page by its orientation."""
    pages = [p for p in _directories(data) if not _first(p, _SUBFILE, 0) & _REDUCED_OR_MASK]
    if not pages:
        raise struct.error
    tags, num_pages = pages[0], len(pages)
    # ImageJ writes one directory for all pages of a large stack.
    stack = _IMAGEJ_PAGES.match(data, _first(tags, _DESCRIPTION, 0))
    if stack and num_pages == 1:
        num_pages = int(stack[1])
    if _first(tags, _COMPRESSION, 1) in _DEFLATE:
        _check_deflated(data, tags)
    return ImageHeader(
        "TIFF",
        data,
        num_pages=num_pages,
        num_samples=_first(tags, _SAMPLES, 1),
        white=_white(_first(tags, _BITS, 1)) if _first(tags, _PHOTOMETRIC, 1) == 0 else 0,
    )


def _white(bits: int) -> int:
    """The largest level of so many bits, spread over 16; 0 for 8 and fewer: these are inverted."""
    return (2**bits - 1) << (16 - bits) if 8 < bits <= 16 else 0


def _read_bmp(data: bytes) -> ImageHeader:
    """The fourth byte of a pixel is reserved, but some programs keep their alpha there."""
    start, header_size = (
        struct.unpack_from("<I", data, 10)[0],
        struct.unpack_from("<I", data, 14)[0],
    )
    reserved = set()
    if header_size >= _BMP_INFO and struct.unpack_from("<HI", data, 28) == (32, 0):
        width, height = struct.unpack_from("<ii", data, 18)
        reserved = set(data[start + 3 : start + 4 * abs(width * height) : 4])
    return ImageHeader("BMP", data, is_translucent=not (reserved <= {0} or reserved <= {255}))


def _check_deflated(data: bytes, tags: Mapping[int, tuple[int, ...]]) -> None:
    """Compare the strips or tiles with their checksums, which libtiff leaves unread."""
    for offsets, lengths in ((_STRIPS, _STRIP_BYTES), (_TILES, _TILE_BYTES)):
        for start, length in zip(tags.get(offsets, ()), tags.get(lengths, ()), strict=False):
            strip = zlib.decompressobj()
            strip.decompress(data[start : start + length])
            if not strip.eof:
                raise struct.error


def _exif_orientation(exif: bytes) -> int:
    """From a block of EXIF, which is built as a TIFF; 1 where it says nothing that makes sense."""
    try:
        found = _first(next(_directories(exif), {}), _ORIENTATION, 1)
    except struct.error:
        return 1
    return found if 1 <= found <= 8 else 1


def _first(tags: Mapping[int, tuple[int, ...]], tag: int, default: int) -> int:
    """The first value of a tag."""
    return next(iter(tags.get(tag, ())), default)


def _directories(data: bytes) -> Iterator[dict[int, tuple[int, ...]]]:
    """The pages of a TIFF: the values of each tag; of one that is no whole number its offset."""
    order = ">" if data.startswith(b"MM") else "<"
    is_big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    pointer, number, entry = ("Q", "Q", "HHQ") if is_big else ("I", "H", "HHI")
    head, inline = struct.calcsize(f"<{entry}"), struct.calcsize(f"<{pointer}")
    offset = struct.unpack_from(order + pointer, data, 8 if is_big else 4)[0]
    seen = set()
    while offset:
        if offset in seen or len(seen) > _MAX_PAGES:
            raise struct.error
        seen.add(offset)
        (count,) = struct.unpack_from(order + number, data, offset)
        place = offset + struct.calcsize(f"<{number}")
        if place + count * (head + inline) > len(data):
            raise struct.error
        tags = {}
        for _ in range(count):
            tag, field, length = struct.unpack_from(order + entry, data, place)
            (start,) = struct.unpack_from(order + pointer, data, place + head)
            tags[tag] = (start,)
            if code := _WHOLE_NUMBERS.get(field):
                num_bytes = struct.calcsize(f"<{code}") * length
                start = place + head if num_bytes <= inline else start
                if start + num_bytes > len(data):
                    raise struct.error
                tags[tag] = struct.unpack_from(f"{order}{length}{code}", data, start)
            place += head + inline
        yield tags
        (offset,) = struct.unpack_from(order + pointer, data, place)


_FORMATS = (
    ((SIGNATURE,), _read_png),
    ((b"\xff\xd8\xff",), _read_jpeg),
    ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _read_tiff),
    ((b"RIFF",), _read_webp),
    ((b"BM",), _read_bmp),
)
_NAMES = {
    _read_png: "PNG", _read_jpeg: "JPEG", _read_tiff: "TIFF", _read_webp: "WebP", _read_bmp: "BMP"
}  # fmt: skip
