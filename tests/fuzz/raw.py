"""Bytes spoilt without regard to what they mean."""

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

_HEAD = 600  # most formats keep what decides within so many bytes
_LONGEST = 64


def spoil(data: bytes, most: int = 3) -> SearchStrategy[bytes]:
    """Up to so many changes of some bytes, one after the other."""
    return _spoil(data, most)


@st.composite
def _spoil(draw: DrawFn, data: bytes, most: int) -> bytes:
    for _ in range(draw(st.integers(1, most))):
        start = draw(_place(data))
        end = min(len(data), start + draw(st.integers(1, _LONGEST)))
        data = draw(st.sampled_from(_WAYS))(draw, data, start, end)
    return data


def _place(data: bytes) -> SearchStrategy[int]:
    last = max(len(data) - 1, 0)
    return st.one_of(st.integers(0, min(last, _HEAD)), st.integers(0, last))


def _flip(draw: DrawFn, data: bytes, start: int, end: int) -> bytes:
    flipped = bytes([data[start] ^ 1 << draw(st.integers(0, 7))]) if data else b""
    return data[:start] + flipped + data[start + 1 :]


def _set(draw: DrawFn, data: bytes, start: int, end: int) -> bytes:
    value = draw(st.one_of(st.sampled_from((0, 1, 0x7F, 0x80, 0xFF)), st.integers(0, 255)))
    return data[:start] + bytes([value]) + data[start + 1 :]


def _truncate(draw: DrawFn, data: bytes, start: int, end: int) -> bytes:
    return data[:start]


def _remove(draw: DrawFn, data: bytes, start: int, end: int) -> bytes:
    return data[:start] + data[end:]


def _insert(draw: DrawFn, data: bytes, start: int, end: int) -> bytes:
    return data[:start] + draw(st.binary(min_size=1, max_size=16)) + data[start:]


def _repeat(draw: DrawFn, data: bytes, start: int, end: int) -> bytes:
    return data[:end] + data[start:end] * draw(st.integers(1, 8)) + data[end:]


def _splice(draw: DrawFn, data: bytes, start: int, end: int) -> bytes:
    """Put a piece of it over another place."""
    place = draw(_place(data))
    return data[:place] + data[start:end] + data[place + end - start :]


def _zero(draw: DrawFn, data: bytes, start: int, end: int) -> bytes:
    return data[:start] + bytes(end - start) + data[end:]


def _fill(draw: DrawFn, data: bytes, start: int, end: int) -> bytes:
    return data[:start] + b"\xff" * (end - start) + data[end:]


_WAYS = (_flip, _set, _truncate, _remove, _insert, _repeat, _splice, _zero, _fill)
