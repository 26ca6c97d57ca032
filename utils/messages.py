"""Numbers and lists in messages."""

from collections.abc import Sequence

_NUM_LISTED = 3


def count(number: int, noun: str) -> str:
    """1 patient, 2 patients, 4,449 slices."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def first_of(words: Sequence[str]) -> str:
    """The first three, and how many more there are."""
    more = len(words) - _NUM_LISTED
    return ", ".join(words[:_NUM_LISTED]) + (f" and {more} more" if more > 0 else "")
