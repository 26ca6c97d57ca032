"""Tables of a Markdown page, rebuilt between their marks <!-- KIND:NAME --> and <!-- end -->."""

import re
from pathlib import Path

from utils.errors import UserError
from utils.files import whole_file


def list_tables(path: Path, kind: str = "results") -> list[str]:
    """The names of a page's tables of a kind, in their order."""
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^<!-- {kind}:(\S+) -->$", text, re.MULTILINE)


def replace_table(path: Path, name: str, table: str, kind: str = "results") -> None:
    """Put a table between its marks.

    Raises:
        UserError: The page has no such marks, or cannot be written.
    """
    page = path.read_text(encoding="utf-8")
    start = page.find(f"<!-- {kind}:{name} -->")
    end = page.find("<!-- end -->", start)
    if start < 0 or end < 0:
        raise UserError(f"{path}: no place <!-- {kind}:{name} --> ... <!-- end --> for the table")
    head = page[: page.index("\n", start) + 1]
    with whole_file(path) as temporary:
        temporary.write_text(f"{head}\n{table}\n\n{page[end:]}", encoding="utf-8")
