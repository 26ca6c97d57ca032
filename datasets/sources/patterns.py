"""Patterns of file names with fields: {patient}/{case}_z{slice}.png."""

import re
from pathlib import PurePosixPath
from typing import NamedTuple

from utils.errors import UserError

_FIELDS = {"patient": r"[^/]+?", "case": r"[^/]+?", "slice": r"\d+", "split": r"[^/]+?"}
_SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_TOKEN = re.compile(r"\{(\w*)\}|(\*)|([{}])|([^{}*]+)")


class PathPattern(NamedTuple):
    """The ends of paths that a pattern describes.

    Attributes:
        text: As given.
        fields: The names of its fields, in their order.
        num_parts: Of a path that are looked at, from its end.
        num_literal: Letters that are neither field nor *; of two patterns that fit, the one with
            more of them is meant.
        expression: Of these parts.
    """

    text: str
    fields: tuple[str, ...]
    num_parts: int
    num_literal: int
    expression: re.Pattern[str]

    def match(self, place: PurePosixPath) -> dict[str, str] | None:
        """The fields of a path, None where it does not fit."""
        if len(place.parts) < self.num_parts:
            return None
        found = self.expression.fullmatch("/".join(place.parts[-self.num_parts :]))
        return found and found.groupdict()


def parse_pattern(text: str) -> PathPattern:
    """A pattern of {patient}, {case}, {slice}, {split}, * (within a name) and literal text.

    A field that stands twice must be the same text twice. Large and small letters are the same.

    Raises:
        UserError: An unknown field, a lone brace, or neither {case} nor {patient}.
    """
    text = text.strip("/")
    parts, fields, num_literal = [], [], 0
    for field, star, brace, literal in _TOKEN.findall(text):
        if brace or (not star and not literal and field not in _FIELDS):
            wrong = brace or f"{{{field}}}"
            known = ", ".join(f"{{{name}}}" for name in _FIELDS)
            raise UserError(f"pattern {text!r}: {wrong} is not known; use {known} and *")
        if star or literal:
            parts.append("[^/]*" if star else re.escape(literal))
            num_literal += len(literal)
        elif field in fields:
            parts.append(f"(?P={field})")
        else:
            parts.append(f"(?P<{field}>{_FIELDS[field]})")
            fields.append(field)
    if not {"case", "patient"} & set(fields):
        raise UserError(f"pattern {text!r}: names no case; put {{case}} where its name stands")
    expression = re.compile("".join(parts), re.IGNORECASE)
    return PathPattern(text, tuple(fields), text.count("/") + 1, num_literal, expression)


def split_of(name: str) -> str | None:
    """train, val or test, where a folder's name says so: Train, TrainingSet, valid, test_set."""
    letters = re.sub(r"[^a-z]", "", name.lower())
    return _SPLITS.get(letters.removesuffix("set"))
