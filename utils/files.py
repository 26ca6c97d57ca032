"""Files and folders that appear whole or not at all: written under another name, then renamed."""

import csv
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from utils.errors import UserError, advise

# Of draft_of in any process; what is left of one that was killed may go.
DRAFTS = ".[0-9]*.*"
_MAX_NAME_BYTES = 255
_RANDOM_BYTES = 10  # of mkdtemp, and two dots
# A spreadsheet takes a cell that begins so for a formula, and may run it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def draft_of(path: Path) -> Path:
    """A temporary name for a file, beside it; another at every call, on every machine."""
    prefix = f".{os.getpid()}.{uuid.uuid4().hex}."
    return path.with_name(prefix + _end_of(path.name, len(prefix)))


def _end_of(name: str, num_more: int) -> str:
    """As much of a name's end as file systems take, with so many bytes more."""
    while len(os.fsencode(name)) + num_more > _MAX_NAME_BYTES:
        name = name[1:]
    return name


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write a file that is to appear at `path`; an error leaves what was there before.

    The temporary name ends as `path` does, for writers that go by the suffix.

    Raises:
        UserError: The disk is full or read-only; names the file.
    """
    temporary = draft_of(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Where to write a folder that is to appear at `path`, which must be new or empty.

    Raises:
        UserError: `path` is not empty, or the disk is full or read-only.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path} exists and is not empty: remove it or choose another --out")
    try:
        with draft_folder(path.parent, path.name) as draft:
            yield draft
            draft.chmod(0o755)  # mkdtemp makes it private
            os.replace(draft, path)  # an empty folder is replaced, too
    except OSError as error:
        raise cannot_write(path, error) from error


@contextmanager
def draft_folder(parent: Path, name: str) -> Iterator[Path]:
    """A new folder in `parent`, which is made where it is missing; gone after the block."""
    parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{_end_of(name, _RANDOM_BYTES)}.", dir=parent))
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def cannot_write(path: Path, error: Exception) -> UserError:
    """One line for a disk that does not take it; what was asked for, not the temporary name."""
    reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
    return UserError(f"{path}: cannot be written ({reason}); {advise(error)}")


def parse_json(text: str) -> Any:
    """The plain values of JSON.

    Raises:
        ValueError: It is none, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def write_json(path: Path, content: Any) -> None:
    """Write JSON under a temporary name, then rename; NaN becomes null."""
    text = json.dumps(_without_nan(content), indent=2, ensure_ascii=False)
    with whole_file(path) as file:
        file.write_text(text + "\n", encoding="utf-8")


def _without_nan(content: Any) -> Any:
    """Plain values with None for NaN, which JSON does not know."""
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and content != content else content


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with equal keys as CSV, under a temporary name first."""
    with whole_file(path) as file, file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows({key: quote_cell(cell) for key, cell in row.items()} for row in rows)


def quote_cell(cell: Any) -> Any:
    """A cell of a CSV as no spreadsheet runs it: an apostrophe before text like a formula."""
    is_formula = isinstance(cell, str) and cell.startswith(_FORMULA) and not _is_number(cell)
    return f"'{cell}" if is_formula else cell


def unquote_cell(cell: str) -> str:
    """The text of a cell that quote_cell has written."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV, every cell as text.

    Raises:
        UserError: It cannot be read, or has no row.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    if not rows or any(None in row or None in row.values() for row in rows):
        raise UserError(f"{path}: no table with as many cells in every row as in the first line")
    return [{key: unquote_cell(cell) for key, cell in row.items()} for row in rows]
