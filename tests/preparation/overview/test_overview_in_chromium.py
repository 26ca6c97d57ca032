from pathlib import Path

import pytest

from preparation.overview import describe_folder
from tests.evaluation.report.chromium import EXECUTABLE, Chromium
from tests.preparation.overview.conftest import draw_folder


@pytest.mark.skipif(EXECUTABLE is None, reason="needs Chromium or Google Chrome")
def test_the_page_is_as_wide_as_its_window_and_nothing_of_it_is_refused(tmp_path: Path) -> None:
    folder = draw_folder(tmp_path / "drawn")
    describe_folder(folder)
    with Chromium(tmp_path / "profile") as browser:
        for width in (360, 1280):
            browser.resize(width, 900)
            browser.open(folder / "fingerprint.html")
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            assert browser.evaluate("document.images[0].naturalWidth") > 1000
            small = browser.evaluate(
                "Math.min(...[...document.querySelectorAll('svg text')].map("
                "e => e.getBoundingClientRect().height))"
            )
            assert small > 8
        complaints = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        assert [event for event in browser.events if event["method"] in complaints] == []
