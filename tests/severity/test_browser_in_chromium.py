"""The slices of a page in a real browser: what a reader turns, presses, drags and switches."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from figures.palette import METRICS
from severity import write_severity
from tests.evaluation.report.chromium import EXECUTABLE, Chromium
from tests.severity.chest import SHAPE, SOFT_HU, as_volume, ellipsoid, make_chest

NUM_SLICES = SHAPE[0]
CURRENT = "Number(document.querySelector('#slice-number').value)"
DRAWN = "Number(document.querySelector('#picture').dataset.drawn)"
# A copy of the picture, so that reading does not change how the page draws.
COPY = """(picture => {
  const copy = new OffscreenCanvas(picture.width, picture.height);
  const context = copy.getContext('2d', { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  return context.getImageData(0, 0, copy.width, copy.height);
})(document.querySelector('#picture'))"""
STAGE = "document.querySelector('#stage').getBoundingClientRect()"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    mask = ellipsoid((0, 0, -75), (60, 40, 30)).astype(np.uint8)
    mask[ellipsoid((50, 0, 75), (9, 9, 9))] = 2
    stem = tmp_path_factory.mktemp("page") / "scan"
    write_severity(
        stem,
        as_volume(make_chest().hu),
        mask,
        None,
        unit_is_hu=True,
        title="scan",
        class_names={1: "ground-glass opacity", 2: "consolidation"},
        prob=np.where(mask > 0, np.uint8(255), np.uint8(0)),
    )
    return stem.with_name("scan_severity.html")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if EXECUTABLE is None:
        pytest.skip("needs Chromium or Google Chrome")
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(browser: Chromium, path: Path) -> Iterator[Chromium]:
    """The page, freshly opened; whatever a test does to it, it must not complain."""
    browser.prefer("light")
    browser.resize(1280, 900)
    browser.open(path)
    browser.evaluate("document.querySelector('#stage').scrollIntoView({block: 'center'})")
    wait_until_drawn(browser)
    yield browser
    complaints = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
    assert [event for event in browser.events if event["method"] in complaints] == []


def wait_until_drawn(page: Chromium) -> int:
    end = time.monotonic() + 10
    while page.evaluate(DRAWN) != (current := page.evaluate(CURRENT)):
        assert time.monotonic() < end
    return current


def go_to(page: Chromium, index: int) -> None:
    page.evaluate(
        f"(s => (s.value = {index}, s.dispatchEvent(new Event('input'))))"
        "(document.querySelector('#slice-number'))"
    )
    assert wait_until_drawn(page) == index


def middle(page: Chromium) -> tuple[float, float]:
    return tuple(page.evaluate(f"(r => [r.x + r.width / 2, r.y + r.height / 2])({STAGE})"))


def pixel(page: Chromium, row: int, column: int) -> np.ndarray:
    """Colour at a place of the scan."""
    down, across = (row + 0.5) / SHAPE[1], (column + 0.5) / SHAPE[2]
    place = f"4 * (c.width * Math.floor({down} * c.height) + Math.floor({across} * c.width))"
    return np.array(page.evaluate(f"(c => (at => [...c.data.slice(at, at + 3)])({place}))({COPY})"))


def count_px(page: Chromium, colour: list[int], tolerance: int) -> int:
    """How many px of the picture have a colour."""
    alike = f"{colour}.every((c, k) => Math.abs(d[i + k] - c) <= {tolerance})"
    return page.evaluate(f"({COPY}).data.filter((v, i, d) => i % 4 === 0 && {alike}).length")


def switch(page: Chromium, selector: str) -> None:
    page.evaluate("delete document.querySelector('#picture').dataset.drawn")
    page.click(f"#browser {selector}")
    wait_until_drawn(page)


def test_the_page_opens_at_its_largest_lesion(page: Chromium) -> None:
    assert page.evaluate(CURRENT) == round((NUM_SLICES - 1) / 2)
    assert page.evaluate("document.querySelector('#place').textContent") == "slice 26"


@pytest.mark.parametrize(
    ("key", "slices"),
    [("ArrowUp", [27, 28]), ("ArrowRight", [27, 28]), ("ArrowDown", [25, 24]),
     ("ArrowLeft", [25, 24])],
)  # fmt: skip
def test_arrow_keys_go_from_slice_to_slice(page: Chromium, key: str, slices: list[int]) -> None:
    page.click("#stage")
    for index in slices:
        page.press(key)
        assert wait_until_drawn(page) == index


def test_the_wheel_goes_from_slice_to_slice_and_beyond_the_last_one_scrolls_the_page(
    page: Chromium,
) -> None:
    x, y = middle(page)
    for delta, index in ((100, 25), (-100, 26), (-100, 27), (15, 27), (20, 26)):
        page.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=delta)
        assert wait_until_drawn(page) == index
    before = page.evaluate("scrollY")
    go_to(page, 0)
    page.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=100)
    end = time.monotonic() + 10
    while page.evaluate("scrollY") == before:
        assert time.monotonic() < end
    assert page.evaluate(CURRENT) == 0


def test_the_slider_goes_to_a_slice(page: Chromium) -> None:
    page.evaluate("document.querySelector('#slice-number').focus()")
    page.press("ArrowRight")
    assert wait_until_drawn(page) == 27


@pytest.mark.parametrize("kind", ["touch", "mouse"])
def test_a_drag_across_goes_through_the_slices(page: Chromium, kind: str) -> None:
    x, y = middle(page)
    step = max(page.evaluate(f"{STAGE}.width") / NUM_SLICES, 4)
    places = [(x, y), (x + 4 * step, y), (x + 7.5 * step, y)]
    if kind == "touch":
        for kind, place in zip(("touchStart", "touchMove", "touchMove"), places, strict=True):
            points = [{"x": place[0], "y": place[1]}]
            page.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        page.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    else:
        for kind, place in zip(("mousePressed", "mouseMoved", "mouseMoved"), places, strict=True):
            at = {"x": place[0], "y": place[1], "button": "left", "buttons": 1}
            page.call("Input.dispatchMouseEvent", type=kind, clickCount=1, **at)
        page.call("Input.dispatchMouseEvent", type="mouseReleased", button="left", x=x, y=y)
    assert wait_until_drawn(page) == 26 + 7


def test_a_row_leads_to_its_lesion(page: Chromium) -> None:
    go_to(page, 3)
    page.click(".lesions tr:nth-child(2) .jump")
    index = wait_until_drawn(page)
    assert abs(index - (25.5 + 50 / 5)) <= 1
    top, bottom = page.evaluate(f"(r => [r.top, r.bottom])({STAGE})")
    assert 0 <= top < bottom <= 900
    with_ring = count_px(page, [255, 255, 255], 20)
    page.click(".sheet .jump")  # no lesion is marked any more
    wait_until_drawn(page)
    go_to(page, index)
    assert with_ring > count_px(page, [255, 255, 255], 20) + 40


def test_a_small_picture_leads_to_its_slice(page: Chromium) -> None:
    index = page.evaluate("Number(document.querySelector('.sheet .jump').dataset.slice)")
    page.click(".sheet .jump")
    assert wait_until_drawn(page) == index


def test_soft_tissue_is_grey_in_its_own_window(page: Chromium) -> None:
    place = SHAPE[1] // 2 + 32, SHAPE[2] // 2  # the back, without lung or lesion
    in_lung_window = pixel(page, *place).mean()
    switch(page, "[value='soft tissue']")
    assert pixel(page, *place).mean() == pytest.approx(255 * (SOFT_HU + 160) / 400, abs=12)
    assert in_lung_window == pytest.approx(255 * (SOFT_HU + 1250) / 1500, abs=6)
    assert pixel(page, SHAPE[1] // 2, SHAPE[2] // 2 + 25).max() < 12  # lung


@pytest.mark.parametrize("layer", ["lungs", "1", "2"])
def test_each_outline_can_be_hidden(page: Chromium, layer: str) -> None:
    if layer == "2":
        page.click(".lesions tr:nth-child(2) .jump")
        wait_until_drawn(page)
    swatch = f"document.querySelector('[data-layer=\"{layer}\"] + .swatch')"
    hue = page.evaluate(f"getComputedStyle({swatch}).getPropertyValue('--lung')").strip()
    wanted = [int(hue[at : at + 2], 16) for at in (1, 3, 5)]
    assert count_px(page, wanted, 8) > 20
    switch(page, f"[data-layer='{layer}']")
    assert count_px(page, wanted, 8) < 5


def test_probability_is_off_until_it_is_wanted(page: Chromium) -> None:
    place = SHAPE[1] // 2, SHAPE[2] // 2 - 25  # within the lesion, right of the patient
    grey = pixel(page, *place)
    assert np.ptp(grey) <= 3
    switch(page, "[data-layer='prob']")
    hue = bytes.fromhex(METRICS["specificity"][1:])
    wanted = 0.25 * grey + 0.75 * np.array([*hue])
    assert np.abs(pixel(page, *place) - wanted).max() < 8


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_slice_keeps_its_shape_and_fits_the_window(
    page: Chromium, width: int, scheme: str
) -> None:
    page.prefer(scheme)
    page.resize(width, 800)
    page.evaluate("document.querySelector('#stage').scrollIntoView({block: 'center'})")
    left, right, height = page.evaluate(f"(r => [r.left, r.right, r.height])({STAGE})")
    assert left >= 0
    assert right <= width
    assert 150 < height <= 0.76 * 800
    assert (right - left) / height == pytest.approx(SHAPE[2] / SHAPE[1], rel=0.01)


def test_without_its_script_the_page_shows_the_small_pictures_alone(
    browser: Chromium, path: Path
) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(path)
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
        shown = "[...document.querySelectorAll('#browser, .sheet')].map(e => e.offsetHeight > 0)"
        assert browser.evaluate(shown) == [False, True]
        assert browser.evaluate("document.querySelectorAll('.jump:enabled').length") == 0
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
