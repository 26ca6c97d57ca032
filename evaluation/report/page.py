"""The page: content and views of the cases into one HTML file, written whole or not at all."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from evaluation.report.case_views import CaseViews
from evaluation.report.content import Report, describe_outcome, format_value, sort_value
from figures.page_template import load_script, load_template
from utils.files import whole_file

_FOLDER = Path(__file__).resolve().parent / "templates"
# Pieces that the template yields are small; a write per piece would take longer than they do.
_PIECES_PER_WRITE = 64


def write_report(path: Path, report: Report, views: CaseViews) -> None:
    """Write the page under a temporary name, then rename; the views pass through one by one.

    Args:
        path: The page; report.files lie beside it.
        report: What stands on it.
        views: One per row of the report, in the same order.

    Raises:
        ValueError: Rows and views are not of the same cases in the same order.
        UserError: The disk is full or read-only; a page of before is untouched.
    """
    if len(views) != len(report.rows):
        raise ValueError(f"{len(report.rows)} rows and {len(views)} views: one view per row")
    template = load_template(_FOLDER / "report.html.jinja", address=quote, drawing=_drawing)
    stream = template.stream(
        report=report,
        cases=_cases(report),
        text_keys=_text_keys(report),
        views=_paired(report, views),
        sort_table=_sort_table(report),
        script=load_script(_FOLDER / "report.js"),
    )
    stream.enable_buffering(_PIECES_PER_WRITE)
    with whole_file(path) as temporary, temporary.open("wb") as file:
        stream.dump(file, encoding="utf-8")


def _cases(report: Report) -> list[dict[str, Any]]:
    """The rows of the table as text."""
    return [
        {
            "outcome": describe_outcome(row),
            "cells": [format_value(row[column.key], column) for column in report.columns],
        }
        for row in report.rows
    ]


def _text_keys(report: Report) -> set[str]:
    """Columns of words, which stand to the left where numbers stand to the right."""
    keys = (column.key for column in report.columns)
    return {key for key in keys if all(isinstance(row[key], str) for row in report.rows)}


def _sort_table(report: Report) -> dict[str, Sequence[Any]]:
    """What sorting and filtering compare, as columns."""
    return {
        "values": [
            [sort_value(row[column.key]) for row in report.rows] for column in report.columns
        ],
        "text": [f"{row['name']} {row['patient']}" for row in report.rows],
        "dice": [sort_value(row["dice"]) for row in report.rows],
        "outcome": [describe_outcome(row) for row in report.rows],
    }


def _paired(report: Report, views: CaseViews) -> Iterator[dict[str, Any]]:
    """The views, each once it is known to be of its row's case."""
    for row, view in zip(report.rows, views, strict=True):
        if view["name"] != row["name"]:
            raise ValueError(f"the view of {view['name']!r} stands at the row of {row['name']!r}")
        yield view


def _drawing(svg: str) -> Markup:
    """The svg element alone: a prologue may stand in a file of its own, never within HTML."""
    return Markup(svg[svg.index("<svg") :])
