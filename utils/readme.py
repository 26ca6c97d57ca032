"""Tables of a Markdown page, rebuilt between their marks."""

from pathlib import Path

from utils.config_loader import RESOURCES
from utils.errors import UserError

README = RESOURCES.parent / "README.md"


def replace_table(path: Path, name: str, table: str) -> None:
    """Put a table between <!-- results:NAME --> and <!-- end --> of a page."""
    page = path.read_text(encoding="utf-8")
    start = page.find(f"<!-- results:{name} -->")
    end = page.find("<!-- end -->", start)
    if start < 0 or end < 0:
        raise UserError(f"{path}: no place <!-- results:{name} --> ... <!-- end --> for the table")
    head = page[: page.index("\n", start) + 1]
    path.write_text(f"{head}\n{table}\n\n{page[end:]}", encoding="utf-8")
