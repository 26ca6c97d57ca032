"""The drawn report, opened in a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evaluation.report.chromium import EXECUTABLE, Chromium
from tests.evaluation.report.drawn_report import write_drawn


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_drawn(path)
    return path


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
    yield browser
    complaints = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
    assert [event for event in browser.events if event["method"] in complaints] == []
