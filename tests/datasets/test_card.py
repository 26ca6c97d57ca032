"""A data folder's card is read as it was written, and nothing else is taken for one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets.card import DataCard, DataProperties, SourceFacts, read_card, write_card
from datasets.intensity import LUNG_WINDOW
from utils.errors import UserError

CARD = DataCard(
    (
        SourceFacts("one", "First set", "CC BY 4.0", "Müller, 2020"),
        SourceFacts("two", "Second set", "CC0", "Nobody"),
    ),
    LUNG_WINDOW,
    16,
    {1: "ground-glass opacity", 2: "consolidation"},
)


@pytest.mark.parametrize(
    "card", [CARD, CARD._replace(intensity=None, bits=8, labels={}, modality="CR")]
)
def test_a_card_is_read_as_it_was_written(card: DataCard, tmp_path: Path) -> None:
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card
    assert [path.name for path in tmp_path.iterdir()] == ["dataset.json"]


def test_a_card_is_legible_text(tmp_path: Path) -> None:
    write_card(tmp_path, CARD)
    text = (tmp_path / "dataset.json").read_text(encoding="utf-8")
    assert "Müller, 2020" in text
    assert json.loads(text)["intensity"] == {"unit": "HU", "low": -1250.0, "high": 250.0}


def test_a_card_without_a_modality_is_of_ct(tmp_path: Path) -> None:
    content = CARD.to_plain()
    assert content.pop("modality") == "CT"
    (tmp_path / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    assert read_card(tmp_path) == CARD
    assert not DataProperties.from_plain({}).is_x_ray


@pytest.mark.parametrize("modality", ["CR", "DX"])
def test_properties_keep_the_modality(modality: str) -> None:
    properties = DataProperties.from_card(CARD._replace(modality=modality))
    assert properties.is_x_ray
    assert DataProperties.from_plain(properties.to_plain()) == properties


def test_a_folder_without_a_card_has_none(tmp_path: Path) -> None:
    assert read_card(tmp_path) is None


def swap(*keys: str | int, value: Any) -> Callable[[dict], None]:
    def change(content: dict) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("sources"),
        lambda content: content.pop("bits"),
        lambda content: content["sources"][0].pop("licence"),
        lambda content: content["sources"][0].update(colour="red"),
        swap("labels", value=["lesion"]),
        swap("labels", value={"one": "lesion"}),
        swap("intensity", "unit", value="furlong"),
        swap("intensity", "low", value=250),
        swap("intensity", "high", value="wide"),
        swap("intensity", value=[1, 2]),
        swap("bits", value=None),
        swap("bits", value=7),
        swap("bits", value=True),
        swap("bits", value=float("inf")),
        swap("intensity", "low", value=float("-inf")),
        swap("intensity", "high", value=10**30),
        swap("labels", value={"1": ["lesion"]}),
        swap("labels", value={"0": "background"}),
        swap("sources", 0, "title", value=None),
        swap("sources", 0, value={"name\n": 1}),
        swap("modality", value="MR"),
    ],
)
def test_a_card_with_a_fault_is_refused_by_name(change: Callable, tmp_path: Path) -> None:
    content = CARD.to_plain()
    change(content)
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_card(tmp_path)
    assert str(caught.value).startswith(f"{path}: not a data card (")


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"9" * 5000],
    ids=["empty", "cut", "list", "null", "not UTF-8", "nested", "number"],
)
def test_text_that_is_no_card_is_refused_by_name(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_bytes(text)
    with pytest.raises(UserError, match="not a data card"):
        read_card(tmp_path)
