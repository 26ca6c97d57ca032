"""The page of a scan: safe, self-contained, and legible at any width."""

import base64
import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from severity import (
    measure_radiograph,
    part_lungs,
    write_radiograph_severity,
    write_severity,
)
from severity.lungs.sides import RIGHT
from severity.regions import SliceCounts
from severity.report import format_ml, format_percent
from severity.views import NUM_VIEWS, choose_slices
from tests.evaluation.report.chromium import EXECUTABLE, Chromium
from tests.severity.chest import SHAPE, as_volume, ellipsoid, make_chest

HOSTILE = "<b>\"x\"</b></title><script>alert(1)</script> {{ 7 * 7 }} & '%s'"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chest = make_chest()
    mask = ellipsoid((0, 0, -75), (60, 40, 30)) | ellipsoid((50, 0, 75), (9, 9, 9))
    stem = tmp_path_factory.mktemp("page") / "scan"
    volume = as_volume(chest.hu)
    prob = np.where(mask, np.uint8(200), np.uint8(0))
    write_severity(stem, volume, mask, None, unit_is_hu=True, title=HOSTILE, prob=prob)
    return stem.with_name("scan_severity.html")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if EXECUTABLE is None:
        pytest.skip("needs Chromium or Google Chrome")
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


class Elements(HTMLParser):
    """Counts tags and keeps the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value for key, value in attrs if key in ("src", "href") and value]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_title_cannot_break_out_of_the_page(path: Path) -> None:
    page = Elements(path.read_text(encoding="utf-8"))
    assert page.tags.count("h1") == 1
    assert page.tags.count("script") == 2 + SHAPE[0]  # facts of the scan, its slices, the program
    assert HOSTILE in page.text


def test_nothing_runs_but_the_program_of_the_page(path: Path) -> None:
    html = path.read_text(encoding="utf-8")
    program = html[html.rindex("<script>") + len("<script>") : html.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert html.count("<script>") == 1


def test_the_page_is_small_and_refers_to_nothing_outside(path: Path) -> None:
    html = path.read_text(encoding="utf-8")
    page = Elements(html)
    assert len(page.addresses) == 1 + NUM_VIEWS
    assert all(address.startswith("data:") for address in page.addresses)
    assert "default-src 'none'" in html
    assert "url(" not in html.replace("url(#", "")
    slices = re.findall(r'<script type="application/json" id="slice-\d+">(.*)</script>', html)
    assert len(slices) == SHAPE[0]
    assert len(html) - sum(map(len, slices)) < 400_000


def test_the_page_says_what_it_is_not_and_where_its_score_is_from(path: Path) -> None:
    text = Elements(path.read_text(encoding="utf-8")).text
    assert text.count("For research only; not a medical device.") == 2
    assert "Radiology 2020;295:715-721" in text
    assert "not anatomical lobes" in text
    assert "IEEE Transactions on Medical Imaging 2001" in text


def test_every_slice_shows_both_lungs_outlined_and_the_lesion_somewhere(path: Path) -> None:
    html = path.read_text(encoding="utf-8")
    lungs = re.findall(r'class="lung" d="([^"]*)"', html)
    assert len(lungs) == 2 * NUM_VIEWS
    assert all(lungs)
    lesions = re.findall(r'class="lesion" d="([^"]*)"', html)
    assert 0 < len(list(filter(None, lesions))) < NUM_VIEWS


def test_a_missing_lung_is_said_and_its_place_is_shown(tmp_path: Path) -> None:
    chest = make_chest(sides=(RIGHT,))
    write_severity(
        tmp_path / "one",
        as_volume(chest.hu),
        chest.lung > 9,
        None,
        unit_is_hu=True,
        title="One lung",
    )
    html = (tmp_path / "one_severity.html").read_text(encoding="utf-8")
    text = Elements(html).text
    assert "of the right lung" in text
    assert "no lung" in text
    assert f'viewBox="0 0 {chest.hu.shape[2]} {chest.hu.shape[1]}"' in html


def test_slices_spread_over_the_lungs_and_hold_the_largest_lesion() -> None:
    counts = SliceCounts(*(np.zeros((100, 3), np.int64) for _ in range(2)))
    counts.lung[20:80, 1] = 9
    counts.lesion[[33, 71], 0] = 5, 6
    chosen = choose_slices(counts)
    assert len(chosen) == NUM_VIEWS
    assert chosen == sorted(set(chosen))
    assert chosen[0] >= 20
    assert chosen[-1] < 80
    assert 71 in chosen


@pytest.mark.parametrize("num_slices", [1, 2, 5])
def test_a_short_scan_shows_each_slice_once(num_slices: int) -> None:
    counts = SliceCounts(*(np.zeros((num_slices, 3), np.int64) for _ in range(2)))
    assert set(choose_slices(counts)) <= set(range(num_slices))
    assert len(choose_slices(counts)) >= 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0.00"), (0.001, "< 0.01"), (3.14159, "3.14"), (31.4159, "31.4"),
     (9.996, "10.0"), (99.96, "100"), (4321.6, "4,322")],
)  # fmt: skip
def test_volumes_have_about_three_digits(value: float | None, text: str) -> None:
    assert format_ml(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0, "0.0"), (0.01, "< 0.1"), (0.05, "0.1"), (99.96, "100.0")]
)
def test_a_trace_of_lesion_is_not_called_none(value: float | None, text: str) -> None:
    assert format_percent(value) == text


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_its_window(browser: Chromium, path: Path, width: int, scheme: str) -> None:
    browser.prefer(scheme)
    browser.resize(width, 900)
    browser.open(path)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    pictures = "[...document.querySelectorAll('.sheet svg')].map(e => e.getBoundingClientRect())"
    assert browser.evaluate(f"Math.min(...{pictures}.map(r => Math.min(r.width, r.height)))") > 60
    complaints = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
    assert [event for event in browser.events if event["method"] in complaints] == []


@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_of_an_x_ray_fits_its_window(
    browser: Chromium, tmp_path: Path, width: int
) -> None:
    lung = np.zeros((300, 400), np.uint8)
    lung[50:250, 40:160] = lung[50:250, 240:360] = 255
    label = np.where(lung, np.where(np.arange(400) < 100, 1, 2), 0).astype(np.uint8)
    names = {1: "ground-glass opacity", 2: "consolidation"}
    severity = measure_radiograph("X-ray", label, part_lungs(lung), "Lungs as given.", names)
    write_radiograph_severity(tmp_path / "a", lung, label, part_lungs(lung), severity)
    browser.resize(width, 900)
    browser.open(tmp_path / "a_severity.html")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    boxes = "[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)"
    assert max(browser.evaluate(boxes)) <= 0  # every column is in sight
    shown = "getComputedStyle(document.querySelector('.sheet .lesion')).display"
    assert browser.evaluate(shown) != "none"
    browser.evaluate("document.querySelector('#show-lesion').click()")
    assert browser.evaluate(shown) == "none"


def test_outlines_can_be_hidden_without_scripts(browser: Chromium, path: Path) -> None:
    browser.resize(1280, 900)
    browser.open(path)
    shown = "getComputedStyle(document.querySelector('.sheet .lung')).display"
    assert browser.evaluate(shown) != "none"
    browser.evaluate("document.querySelector('#show-lungs').click()")
    assert browser.evaluate(shown) == "none"
