"""The page in a real browser: what a reader sees, what it fetches, what it needs."""

from pathlib import Path

import numpy as np
import pytest

from evaluation.report import CaseViews, write_report
from tests.evaluation.report.chromium import Chromium
from tests.evaluation.report.drawn_report import HOSTILE, ROWS, make_report

# The least contrast of any text with what it stands on, and that text.
CONTRAST = """(() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const luminance = ([red, green, blue]) =>
    0.2126 * linear(red / 255) + 0.7152 * linear(green / 255) + 0.0722 * linear(blue / 255);
  const ground = element => {
    const colour = numbers(getComputedStyle(element).backgroundColor);
    return colour[3] === 0 ? ground(element.parentElement) : colour;
  };
  const contrast = element => {
    const [dark, light] = [numbers(getComputedStyle(element).color), ground(element)]
      .map(luminance).sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const has_text = element => [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  return [...document.querySelectorAll('body *')]
    .filter(element => !element.closest('svg, script') && has_text(element))
    .map(element => [contrast(element), element.textContent])
    .sort((a, b) => a[0] - b[0])[0];
})()"""


def test_nothing_is_fetched_and_no_name_becomes_markup(page: Chromium, path: Path) -> None:
    page.click("tr[data-case='5'] button")
    page.evaluate("document.querySelector('#viewer-picture image').decode().then(() => true)")
    asked = {
        event["params"]["request"]["url"]
        for event in page.events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert path.as_uri() in asked
    assert {url for url in asked if not url.startswith("data:")} == {path.as_uri()}
    assert page.evaluate("document.querySelectorAll('b, img').length") == 0
    heading = page.evaluate("document.querySelector('h1').textContent")
    assert heading == f"Evaluation of {HOSTILE}"


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("case", [None, 5])
def test_nothing_is_wider_than_the_window(page: Chromium, width: int, case: int | None) -> None:
    page.resize(width, 740)
    if case is not None:
        page.click(f"tr[data-case='{case}'] button")
    for element in ("document.documentElement", "document.querySelector('#viewer')"):
        assert page.evaluate(f"{element}.scrollWidth <= {element}.clientWidth"), element


def test_light_and_dark_differ_and_both_are_legible(page: Chromium) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        page.prefer(scheme)
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        ratio, text = page.evaluate(CONTRAST)
        assert ratio >= 4.5, (scheme, text)  # WCAG 2.2, level AA
    assert grounds[0] != grounds[1]


def test_an_outline_in_blocks_says_so(page: Chromium, tmp_path: Path) -> None:
    note = "document.querySelector('#viewer-note').textContent"
    page.click("tr[data-case='0'] button")
    assert page.evaluate(note) == ""
    chessboard = np.indices((96, 96)).sum(0) % 2 == 0
    with CaseViews() as views:
        views.add(ROWS[0]["name"], np.zeros((96, 96), np.uint8), chessboard & False, chessboard)
        write_report(tmp_path / "report.html", make_report(rows=ROWS[:1]), views)
    page.open(tmp_path / "report.html")
    page.click("tr[data-case='0'] button")
    text = "The prediction is in too many pieces to draw: outlined in blocks of 2 px."
    assert page.evaluate(note) == text


def test_the_tables_stand_without_scripts(browser: Chromium, path: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(path)
        shot = browser.call("DOMSnapshot.captureSnapshot", computedStyles=[])
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    drawn = {shot["strings"][i] for i in shot["documents"][0]["layout"]["text"] if i >= 0}
    assert {"41.00", "12.00 to 70.00", "a_z10", "30.0"} <= drawn
    assert not any("Name or patient" in text for text in drawn)  # a filter that cannot filter


def test_a_script_that_is_not_the_pages_own_never_runs(browser: Chromium, path: Path) -> None:
    browser.open(path)
    browser.evaluate(
        "document.body.append(Object.assign(document.createElement('script'),"
        " {textContent: 'window.intruder = true'}))"
    )
    assert browser.evaluate("typeof window.intruder") == "undefined"
    complaints = [event for event in browser.events if event["method"] == "Log.entryAdded"]
    assert "Content Security Policy" in complaints[0]["params"]["entry"]["text"]
