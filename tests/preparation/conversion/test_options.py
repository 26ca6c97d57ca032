"""Options that make no sense are refused by name."""

import pytest

from preparation.conversion.options import ConversionOptions, parse_keep_empty
from utils.errors import UserError


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"bits": 12}, "--bits 12: choose 8 or 16"),
        ({"keep_empty": "some"}, "--keep-empty some: choose all, none"),
        ({"keep_empty": -1.0}, "--keep-empty -1.0: must be at least 0"),
        ({"fractions": (0.7, 0.4, 0.2)}, "--fractions: add up to 1.3"),
        ({"fractions": (1.2, -0.2, 0.0)}, "--fractions: three numbers from 0 to 1"),
        ({"fractions": (0.5, 0.5)}, "--fractions: three numbers"),
        ({"seed": -1}, "--seed -1"),
        ({"max_side": 16}, "--max-side 16: must be 0 or at least 32 px"),
        ({"max_side": -1}, "--max-side -1"),
        ({"folds": 2}, "--folds 2: must be at least 3"),
        ({"by_slice": True}, "add --allow-leak"),
        ({"by_slice": True, "allow_leak": True, "folds": 5}, "--folds"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(changes: dict, part: str) -> None:
    with pytest.raises(UserError) as caught:
        ConversionOptions(**changes).check()
    assert part in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"bits": 16, "keep_empty": "none", "folds": 3},
        {"keep_empty": 0.0, "fractions": (0.0, 0.0, 1.0)},
        {"by_slice": True, "allow_leak": True},
    ],
)
def test_sensible_options_pass(changes: dict) -> None:
    ConversionOptions(**changes).check()


def test_splits_without_a_share_are_left_out() -> None:
    assert ConversionOptions(fractions=(0.8, 0.0, 0.2)).shares == {"train": 0.8, "test": 0.2}


@pytest.mark.parametrize(
    ("text", "expected"), [("all", "all"), ("none", "none"), ("0.5", 0.5), ("2", 2.0), ("0", 0.0)]
)
def test_keep_empty_takes_a_word_or_a_number(text: str, expected: str | float) -> None:
    assert parse_keep_empty(text) == expected


@pytest.mark.parametrize("text", ["", "some", "-1", "nan", "inf"])
def test_other_words_for_keep_empty_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="--keep-empty"):
        parse_keep_empty(text)
