"""Templates of pages, each with its own style after the one that all pages share."""

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

_SHARED_STYLE = Path(__file__).resolve().parent / "page.css"


class Script(NamedTuple):
    """A script of a page.

    Attributes:
        text: Itself.
        digest: SHA-256 of it in base64, by which the page's policy lets it run, and nothing else.
    """

    text: Markup
    digest: str


@cache
def load_script(path: Path) -> Script:
    """A script that lies beside its template."""
    text = path.read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return Script(Markup(text), base64.b64encode(digest).decode("ascii"))


@cache
def load_template(
    path: Path, *, like: str | None = None, **filters: Callable[..., Any]
) -> Template:
    """A template that escapes everything and stops at a name that it misspells.

    Args:
        path: NAME.html.jinja; NAME.css lies beside it. The template's `style` holds page.css and
            that one.
        like: Name of another page beside it whose style comes between the two.
        filters: Its own, by name.
    """
    environment = Environment(
        loader=FileSystemLoader(path.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    names = [like, path.name.removesuffix(".html.jinja")]
    styles = (_SHARED_STYLE, *(path.with_name(f"{name}.css") for name in names if name))
    environment.globals["style"] = Markup("\n").join(
        Markup(style.read_text(encoding="utf-8")) for style in styles
    )
    return environment.get_template(path.name)
