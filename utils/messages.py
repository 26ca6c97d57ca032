"""Numbers and lists in messages."""

from collections.abc import Sequence
from typing import Any

_NUM_LISTED = 3
_MOST_LETTERS = 100


def count(number: int, noun: str) -> str:
    """1 patient, 2 patients, 4,449 slices."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def first_of(words: Sequence[str]) -> str:
    """The first three, and how many more there are."""
    more = len(words) - _NUM_LISTED
    return ", ".join(words[:_NUM_LISTED]) + (f" and {more} more" if more > 0 else "")


def shown(value: Any) -> str:
    """A value as it was given, in one line that is not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}..."


def printable(line: str) -> str:
    """A line with names out of files: what would break it, or steer a terminal, is escaped."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in line
    )
