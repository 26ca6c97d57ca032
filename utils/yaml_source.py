"""YAML with line numbers: plain values beside the line that each dotted key stands on."""

import re
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from utils.errors import UserError

# The loader's own, and what its constructors raise on a date such as 2024-13-01, on a tag such as
# !!bool before another word, and on sections in each other without end.
_YAML_ERRORS = (
    yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, OverflowError,
    RecursionError,
)  # fmt: skip


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads 1e-4 as a number: YAML 1.1 wants a dot in the mantissa."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def parse_scalar(text: str, key: str) -> Any:
    """The value of 'key=text' on the command line, by the rules of the YAML file.

    Raises:
        UserError: The text is no YAML value.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except _YAML_ERRORS as error:
        raise UserError(f"--set {key}={text}: not a YAML value") from error


def load_yaml(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """A mapping from a YAML file.

    Returns:
        The plain values, and the line (from 1) of each dotted key.

    Raises:
        UserError: No such file, no YAML, not a mapping, or a key that stands twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a YAML file") from error
    values, lines = _parse(path, text)
    return deepcopy(values), dict(lines)


@lru_cache(maxsize=64)  # a sweep resolves the same files for every row
def _parse(path: Path, text: str) -> tuple[dict[str, Any], dict[str, int]]:
    """The values and lines of a file's text, which its callers share."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        values = loader.construct_document(node) if node is not None else {}
        lines: dict[str, int] = {}
        if isinstance(node, yaml.MappingNode):
            _collect_lines(node, "", lines, path)
    except UserError:
        raise
    except _YAML_ERRORS as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise UserError(f"{path}{place}: {problem}; mend the YAML") from error
    if node is not None and not isinstance(node, yaml.MappingNode):
        raise UserError(f"{path}: must be a mapping of sections")
    return values, lines


def _collect_lines(node: yaml.MappingNode, prefix: str, lines: dict[str, int], path: Path) -> None:
    """Note the line of every key below a mapping; a key that stands twice is refused."""
    for key_node, value_node in node.value:
        key, line = f"{prefix}{key_node.value}", key_node.start_mark.line + 1
        if key in lines:
            raise UserError(f"{path}:{line}: {key} stands twice (first on line {lines[key]})")
        lines[key] = line
        if isinstance(value_node, yaml.MappingNode):
            _collect_lines(value_node, f"{key}.", lines, path)
