"""The table and the viewer in a real browser: what a reader clicks and types."""

import pytest

from tests.evaluation.report.chromium import Chromium
from tests.evaluation.report.drawn_report import HOSTILE

SHOWN = (
    "[...document.querySelectorAll('#cases tbody tr:not([hidden])')].map(row => +row.dataset.case)"
)
SORTED = "[...document.querySelectorAll('#cases thead th')].map(head => head.ariaSort)"
OPEN = "document.querySelector('#viewer').open"
NAME = "document.querySelector('#viewer-name').textContent"
FOCUSED_CASE = "document.activeElement.closest('tr')?.dataset.case"
DICE = "#cases thead th:nth-child(3) button"


def test_dice_sorts_up_then_down_with_nan_last_both_times(page: Chromium) -> None:
    assert page.evaluate(SHOWN) == [0, 1, 2, 3, 4, 5]
    page.click(DICE)
    assert page.evaluate(SHOWN) == [3, 4, 1, 0, 5, 2]
    assert page.evaluate(SORTED) == [None, None, "ascending", None, None]
    page.press("Enter")
    assert page.evaluate(SHOWN) == [5, 0, 1, 3, 4, 2]
    assert page.evaluate(SORTED) == [None, None, "descending", None, None]


def test_names_sort_with_their_numbers_as_numbers(page: Chromium) -> None:
    page.click(DICE)
    page.click("#cases thead th:first-child button")
    assert page.evaluate(SHOWN) == [5, 0, 1, 2, 3, 4]  # a_z2 before a_z10
    assert page.evaluate(SORTED) == ["ascending", None, None, None, None]


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("with lesion", [0, 1, 4, 5]),
        ("without lesion", [2, 3]),
        ("false alarm", [3]),
        ("missed", [4]),
        ("all", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_cases_are_shown_by_kind(page: Chromium, kind: str, shown: list[int]) -> None:
    page.choose("#filter-outcome", kind)
    assert page.evaluate(SHOWN) == shown
    count = page.evaluate("document.querySelector('[aria-live=polite]#count').textContent")
    assert count == f"{len(shown)} of 6 cases"


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"text": "A_Z"}, [0, 1]),
        ({"text": "bob z3"}, [3]),
        ({"text": '<b>"x"</b></script>'}, [5]),
        ({"least": "80"}, [0, 5]),
        ({"most": "30"}, [1, 3, 4]),
        ({"least": "0"}, [0, 1, 3, 4, 5]),  # NaN lies in no range
        ({"least": "20", "most": "90", "text": "z2"}, [0]),
        ({"text": "nobody"}, []),
    ],
)
def test_cases_are_shown_by_text_and_dice(page: Chromium, fields: dict, shown: list[int]) -> None:
    for field, text in fields.items():
        page.fill(f"#filter-{field}", text)
    assert page.evaluate(SHOWN) == shown
    assert page.evaluate("document.querySelector('#no-case').hidden") == bool(shown)


def test_a_click_anywhere_on_a_row_opens_its_case(page: Chromium) -> None:
    page.click("tr[data-case='1'] td:nth-child(4)")
    assert page.evaluate(OPEN)
    assert page.evaluate(NAME) == "a_z10"
    values = page.evaluate("document.querySelector('#viewer-values').innerText").split()
    assert values == ["Patient", "Ada", "Dice", "30.0", "HD95,", "px", "7.0", "Lesion,", "px", "80"]


@pytest.mark.parametrize("key", ["Enter", " "])
def test_the_keyboard_walks_the_rows_and_opens_a_case(page: Chromium, key: str) -> None:
    page.click(DICE)
    for _ in range(3):  # two more heads, then the one row that tab stops at: the first case
        page.press("Tab")
    assert page.evaluate(FOCUSED_CASE) == "0"
    page.press("ArrowUp")
    assert page.evaluate(FOCUSED_CASE) == "1"
    page.press("ArrowDown")
    page.press("ArrowDown")
    assert page.evaluate(FOCUSED_CASE) == "5"
    page.press(key)
    assert page.evaluate(OPEN)
    assert page.evaluate(NAME) == HOSTILE


def test_the_picture_lies_under_both_outlines(page: Chromium) -> None:
    page.click("tr[data-case='0'] button")
    picture = "document.querySelector('#viewer-picture')"
    assert page.evaluate(f"{picture}.getAttribute('viewBox')") == "0 0 64 48"
    boxes = page.evaluate(
        f"[...{picture}.querySelectorAll('.line')].map(p => (b => [b.x, b.y, b.width, b.height])"
        "(p.getBBox()))"
    )
    assert boxes == [[30, 20, 10, 10], [30, 20, 9, 9]]  # 100 px of lesion, 90 px predicted
    loaded = f"{picture}.querySelector('image').decode().then(() => true)"
    assert page.evaluate(loaded)


@pytest.mark.parametrize(("role", "key"), [("target", "t"), ("pred", "p")])
def test_an_outline_is_hidden_by_key_and_by_checkbox(page: Chromium, role: str, key: str) -> None:
    def is_drawn(role: str) -> bool:
        style = f"getComputedStyle(document.querySelector('#viewer-picture .line.{role}'))"
        return page.evaluate(f"{style}.display") != "none"

    other = {"target": "pred", "pred": "target"}[role]
    page.click("tr[data-case='0'] button")
    assert is_drawn(role)
    page.press(key)
    assert not is_drawn(role)
    assert is_drawn(other)
    page.press("ArrowRight")
    assert not is_drawn(role)  # it stays so for the next case
    page.click(f"#show-{role}")
    assert is_drawn(role)


def test_arrows_go_through_the_rows_as_sorted_and_filtered(page: Chromium) -> None:
    page.choose("#filter-outcome", "with lesion")
    page.click(DICE)  # 4, 1, 0, 5
    page.click("tr[data-case='1'] button")
    page.press("ArrowRight")
    assert page.evaluate(NAME) == "a_z2"
    page.click("#viewer-picture")  # takes the focus away
    page.press("ArrowRight")
    assert page.evaluate(NAME) == HOSTILE
    page.press("ArrowRight")
    assert page.evaluate(NAME) == HOSTILE
    assert page.evaluate("document.querySelector('#viewer-next').ariaDisabled") == "true"
    for _ in range(3):
        page.click("#viewer-previous")
    assert page.evaluate(NAME) == "e_z5"
    assert page.evaluate("document.querySelector('#viewer-place').textContent") == "1 of 4 · missed"


def test_escape_closes_and_the_focus_is_on_the_row_last_seen(page: Chromium) -> None:
    page.click("tr[data-case='0'] button")
    page.press("ArrowRight")
    page.press("Escape")
    assert not page.evaluate(OPEN)
    assert page.evaluate(FOCUSED_CASE) == "1"
    page.press("t")
    assert page.evaluate("document.querySelector('#show-target').checked")
