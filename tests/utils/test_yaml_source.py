"""The YAML reader: numbers as people write them, line numbers, and errors that name the line."""

from pathlib import Path

import pytest

from utils.errors import UserError
from utils.yaml_source import load_yaml, parse_scalar

NUMBERS = {"1e-4": 1e-4, "1E-4": 1e-4, "1.e-3": 1e-3, "-1e-4": -1e-4, "+2e3": 2000.0, ".5e1": 5.0}


def write(folder: Path, text: str) -> Path:
    path = folder / "some.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_a_number_with_an_exponent_is_a_float_in_a_file(
    text: str, number: float, tmp_path: Path
) -> None:
    values, _ = load_yaml(write(tmp_path, f"section:\n  key: {text}\n"))
    assert values == {"section": {"key": number}}
    assert type(values["section"]["key"]) is float


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_a_number_with_an_exponent_is_a_float_on_the_command_line(text: str, number: float) -> None:
    value = parse_scalar(text, "section.key")
    assert value == number
    assert type(value) is float


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8),
        ("true", True),
        ("null", None),
        ("[1, 2]", [1, 2]),
        ("1e5x", "1e5x"),
        ("1e-", "1e-"),
        ("e4", "e4"),
        ("data/1e-4", "data/1e-4"),
    ],
)
def test_what_is_no_number_with_an_exponent_keeps_its_type(text: str, value: object) -> None:
    parsed = parse_scalar(text, "section.key")
    assert parsed == value
    assert type(parsed) is type(value)


def test_every_key_comes_with_the_line_it_stands_on(tmp_path: Path) -> None:
    text = "# a comment\nfirst:\n  inner:\n    deep: 1\n\n  list: [1, 2]\nsecond: {flow: 3}\n"
    values, lines = load_yaml(write(tmp_path, text))
    assert values == {"first": {"inner": {"deep": 1}, "list": [1, 2]}, "second": {"flow": 3}}
    assert lines == {
        "first": 2,
        "first.inner": 3,
        "first.inner.deep": 4,
        "first.list": 6,
        "second": 7,
        "second.flow": 7,
    }


def test_the_same_leaf_in_two_sections_is_no_duplicate(tmp_path: Path) -> None:
    values, _ = load_yaml(write(tmp_path, "a: {patience: 1}\nb: {patience: 2}\n"))
    assert values == {"a": {"patience": 1}, "b": {"patience": 2}}


@pytest.mark.parametrize("text", ["", "# only a comment\n"])
def test_a_file_without_content_has_no_keys(text: str, tmp_path: Path) -> None:
    assert load_yaml(write(tmp_path, text)) == ({}, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", ":3: a stands twice (first on line 1)"),
        ("a:\n  b: 1\n  b: 1\n", ":3: a.b stands twice (first on line 2)"),
        ("- 1\n- 2\n", ": must be a mapping of sections"),
        ("just words\n", ": must be a mapping of sections"),
        ("a:\n\tb: 1\n", ":2: found character '\\t' that cannot start any token; mend the YAML"),
        ("a: 1\nb: [1, 2\nc: 3\n", ":3: "),
        ("a: 1\n---\nb: 2\n", ":2: "),
        ("a: \x01\n", ": "),
        ("a: 2024-13-01\n", ": "),
        ("a: !!bool x\n", ": "),
        ("a: !!binary [b]\n", ":1: "),
        ("a: &a {b: *a}\n", ": "),
        ("a: " + "[" * 600, ": "),
    ],
    ids=[
        *("key twice", "inner key twice", "list", "text", "tab", "open bracket"),
        *("two documents", "control character", "thirteenth month"),
        *("no truth", "no bytes", "a section in itself", "nested without end"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused_with_its_line(
    text: str, message: str, tmp_path: Path
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load_yaml(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("root: Köln".encode("latin-1"))
    for path in (latin, tmp_path / "none.yaml", tmp_path):
        with pytest.raises(UserError) as caught:
            load_yaml(path)
        assert str(caught.value) == f"{path}: cannot be read as a YAML file"


@pytest.mark.parametrize("text", ["[1, 2", "{a", "2024-13-01", "!!bool x"])
def test_a_command_line_value_that_is_no_yaml_is_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_scalar(text, "data.image_size")
    assert str(caught.value) == f"--set data.image_size={text}: not a YAML value"
