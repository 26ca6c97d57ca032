"""The page as a file: its text, its size in memory, and how it comes to be."""

import html
import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.report import CaseViews, Column, write_report
from evaluation.report.content import describe_outcome, format_value, sort_value
from metrics import METRICS
from tests.evaluation.report.drawn_report import (
    HOSTILE,
    ROWS,
    add_view,
    make_report,
    make_row,
    write_drawn,
)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_cases(tmp_path: Path) -> None:
    rows = [make_row(f"case{i}", "p", 0.5, (400, 400, 200)) for i in range(300)]
    # Blocks of 6 px in black and white: as many bytes of WebP as a slice of CT.
    blocks = np.random.default_rng(0).integers(0, 2, (43, 43)).astype(np.uint8)
    image = np.kron(blocks, np.full((6, 6), 255, np.uint8))
    mask = np.zeros(image.shape, bool)
    mask[100:150, 80:200] = True
    path = tmp_path / "report.html"
    write_drawn(path)  # caches of Jinja and of the codec fill on first use
    with CaseViews(tmp_path) as views:
        tracemalloc.start()
        for row in rows:
            views.add(row["name"], image.copy(), mask.copy(), mask.copy())
        write_report(path, make_report(rows=rows), views)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # Slices of 60 MB have gone by, and a page of 2 MB: none of them was ever held as a whole.
    assert peak < 2e6 < path.stat().st_size


def test_names_and_texts_from_outside_never_become_markup(tmp_path: Path) -> None:
    write_drawn(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>" not in page
    assert "<img" not in page
    assert "onerror=alert" in page  # as text
    assert HOSTILE in html.unescape(page)
    blocks = re.findall(r'<script type="application/json" id="(.*?)">(.*?)</script>', page)
    contents = {key: json.loads(text) for key, text in blocks}
    assert list(contents) == ["sort-table", *(f"case-{i}" for i in range(6))]
    assert contents["case-5"]["name"] == HOSTILE
    assert contents["sort-table"]["values"][2] == [0.8, 0.3, None, 0.0, 0.0, 0.95]
    assert contents["sort-table"]["outcome"][2:5] == ["empty", "false alarm", "missed"]


def test_the_page_asks_for_nothing_but_the_files_beside_it(tmp_path: Path) -> None:
    write_drawn(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    links = re.findall(r'(?:href|src)="(.*?)"', page)
    assert links == ["data:,", "per_case.csv", "100%20%25/javascript%3Ax.json"]
    assert "<?xml" not in page


def test_a_report_without_figures_and_files_is_a_page(tmp_path: Path) -> None:
    write_drawn(tmp_path / "report.html", make_report(charts=[], files={}, tables=[]))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Figures" not in page
    assert page.rstrip().endswith("</html>")


@pytest.mark.parametrize(
    ("select", "message"),
    [
        (lambda rows: rows[:-1], "6 rows and 5 views"),
        (lambda rows: rows[::-1], "stands at the row"),
    ],
)
def test_a_page_that_fails_leaves_the_one_before_whole(
    tmp_path: Path, select: Callable[[list], list], message: str
) -> None:
    path = tmp_path / "report.html"
    write_drawn(path)
    before = path.read_bytes()
    with CaseViews() as views:
        for row in select(ROWS):
            add_view(views, row)
        with pytest.raises(ValueError, match=message):
            write_report(path, make_report(), views)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        (0.0081234, Column("mae", "MAE", METRICS["mae"]), "0.81"),
        (1, Column("dice", "Dice", METRICS["dice"]), "100.0"),
        (7.25, Column("hd95", "HD95", METRICS["hd95"]), "7.2"),
        (17, Column("lesion_px", "Lesion"), "17"),
        ("p1", Column("patient", "Patient"), "p1"),
        (float("nan"), Column("dice", "Dice", METRICS["dice"]), "-"),
        (None, Column("dice", "Dice", METRICS["dice"]), "-"),
        (float("inf"), Column("hd95", "HD95", METRICS["hd95"]), "inf"),
    ],
)
def test_a_value_is_printed_as_its_column_says(value: Any, column: Column, text: str) -> None:
    assert format_value(value, column) == text


def test_infinity_sorts_behind_every_number_and_nan_is_no_number() -> None:
    assert 1e300 < sort_value(float("inf")) < float("inf")
    assert -float("inf") < sort_value(-float("inf")) < -1e300
    assert sort_value(float("nan")) is None


@pytest.mark.parametrize(
    ("lesion_px", "pred_px", "hit_px", "outcome"),
    [
        (9, 9, 5, "lesion"),
        (9, 9, 0, "missed"),
        (9, 0, 0, "missed"),
        (0, 9, 0, "false alarm"),
        (0, 0, 0, "empty"),
    ],
)
def test_the_outcome_of_a_case_follows_from_its_row(
    lesion_px: int, pred_px: int, hit_px: int, outcome: str
) -> None:
    row = {"lesion_px": lesion_px, "pred_px": pred_px, "hit_px": hit_px}
    assert describe_outcome(row) == outcome
