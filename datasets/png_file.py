"""The chunks of a PNG, checked so far that a decoder finds nothing to complain of on stderr."""

import struct
import zlib
from collections.abc import Iterator, Mapping

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a px, by colour type
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PALETTE = 3
_MOST_PX = 1 << 30  # what OpenCV decodes
_LONGEST_SIDE = 1 << 20
# Where the passes of an interlaced image begin, and their steps: column, row, of each.
_ADAM7 = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1,
    2),
)  # fmt: skip


class DamagedPngError(Exception):
    """What is no PNG, or half of one."""


def read_chunks(data: bytes) -> dict[bytes, bytes]:
    """The first chunk of each kind, in their order; those of pixels joined.

    Raises:
        DamagedPngError: The file breaks off, or a checksum is wrong.
    """
    position, kind = len(SIGNATURE), b""
    chunks: dict[bytes, bytes] = {}
    pixels = []
    while kind != b"IEND":
        length = int.from_bytes(data[position : position + 4], "big")
        body = data[position + 4 : position + 8 + length]
        end = position + 12 + length
        checksum = data[end - 4 : end]
        if len(checksum) < 4 or zlib.crc32(body) != int.from_bytes(checksum, "big"):
            raise DamagedPngError("a checksum is wrong")
        kind = body[:4]
        chunks.setdefault(kind, body[4:])
        if kind == b"IDAT":
            pixels.append(body[4:])
        position = end
    return chunks | {b"IDAT": b"".join(pixels)}


def rebuild(chunks: Mapping[bytes, bytes]) -> bytes:
    """A PNG of the same pixels that holds nothing else.

    The pixels are stored rather than compressed: they have been unpacked once to be checked.

    Raises:
        DamagedPngError: Header, palette or pixels are not as the specification has them.
    """
    if next(iter(chunks)) != b"IHDR" or len(chunks[b"IHDR"]) != 13:
        raise DamagedPngError("no header")
    header = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    width, height, depth, colour, *methods = header
    if not (0 < width <= _LONGEST_SIDE and 0 < height <= _LONGEST_SIDE):
        raise DamagedPngError("no size")
    if depth not in _DEPTHS.get(colour, ()) or methods not in ([0, 0, 0], [0, 0, 1]):
        raise DamagedPngError("no such format")
    kept = {b"IHDR": chunks[b"IHDR"]}
    if colour == _PALETTE:
        kept |= _palette(chunks, depth)
    elif b"tRNS" in chunks and colour in (0, 2):
        if len(chunks[b"tRNS"]) != 2 * _SAMPLES[colour]:
            raise DamagedPngError("no colour that is transparent")
        kept[b"tRNS"] = mask_levels(chunks[b"tRNS"], depth)
    kept[b"IDAT"] = zlib.compress(_unpack(chunks[b"IDAT"], header), 0)
    kept[b"IEND"] = b""
    return SIGNATURE + b"".join(_to_bytes(*chunk) for chunk in kept.items())


def mask_levels(levels: bytes, depth: int) -> bytes:
    """Levels of two bytes, of which only the bits of the pixels' own count."""
    values = struct.unpack(f">{len(levels) // 2}H", levels)
    return struct.pack(f">{len(values)}H", *(value & ((1 << depth) - 1) for value in values))


def _palette(chunks: Mapping[bytes, bytes], depth: int) -> dict[bytes, bytes]:
    """The colours and their opacity."""
    colours, opacity = chunks.get(b"PLTE", b""), chunks.get(b"tRNS")
    if not colours or len(colours) % 3 or len(colours) > 3 << depth:
        raise DamagedPngError("no palette")
    if opacity is None:
        return {b"PLTE": colours}
    if not 0 < len(opacity) <= len(colours) // 3:
        raise DamagedPngError("no colours that are transparent")
    return {b"PLTE": colours, b"tRNS": opacity}


def _unpack(packed: bytes, header: tuple[int, ...]) -> bytes:
    """The rows of all passes, each with its filter before it."""
    width, height, depth, colour, _, _, is_interlaced = header
    bits = depth * _SAMPLES[colour]
    passes = list(_passes(width, height)) if is_interlaced else [(width, height)]
    sizes = [(1 + (columns * bits + 7) // 8, rows) for columns, rows in passes]
    wanted = sum(length * rows for length, rows in sizes)
    if width * height > _MOST_PX or wanted > 1100 * (len(packed) + 1):
        raise DamagedPngError("more pixels than there can be")
    unpacked = zlib.decompressobj().decompress(packed, wanted + 1)[:wanted]
    if len(unpacked) < wanted:
        raise DamagedPngError("not all pixels are there")
    start = 0
    for length, rows in sizes:
        if rows and max(unpacked[start : start + length * rows : length]) > 4:
            raise DamagedPngError("no such filter")
        start += length * rows
    return unpacked


def _passes(width: int, height: int) -> Iterator[tuple[int, int]]:
    """Columns and rows of the passes that are not empty."""
    for column, row, step, step_down in _ADAM7:
        columns = (width - column + step - 1) // step
        rows = (height - row + step_down - 1) // step_down
        if columns > 0 and rows > 0:
            yield columns, rows


def _to_bytes(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
