"""Templates of pages, each with its own style after the one that all pages share."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

_SHARED_STYLE = Path(__file__).resolve().parent / "page.css"


@cache
def load_template(path: Path, **filters: Callable[..., Any]) -> Template:
    """A template that escapes everything and stops at a name that it misspells.

    Args:
        path: NAME.html.jinja; NAME.css lies beside it. The template's `style` holds page.css and
            that one.
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
    styles = (_SHARED_STYLE, path.with_name(path.name.removesuffix(".html.jinja") + ".css"))
    environment.globals["style"] = Markup("\n").join(
        Markup(style.read_text(encoding="utf-8")) for style in styles
    )
    return environment.get_template(path.name)
