"""JSON of a data folder, and YAML of a configuration."""

import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from datasets.card import DataProperties, read_card
from tests.fuzz.kind import Kind
from tests.fuzz.kinds.commands import run_prepare
from tests.fuzz.kinds.tables import data_folder, read_data_folder
from tests.fuzz.raw import spoil
from tests.fuzz.values import spoil_tree
from utils.config_loader import DEFAULT_CONFIG, dump_config, load_config

_FOLDER = data_folder()
_SPLITS = {"train": ["p1", "p2"], "val": ["p3"], "test": ["p4"]}
_CARD = {
    "sources": [{"name": "a", "title": "A", "licence": "CC0", "citation": "B, 2026"}],
    "intensity": {"unit": "HU", "low": -1250.0, "high": 250.0},
    "bits": 8,
    "labels": {"1": "lesion"},
}
_YAML = DEFAULT_CONFIG.read_bytes()
_CONFIG = yaml.safe_load(_YAML)
# What YAML has beyond plain values.
_PIECES = (
    b"&a [*a]", b"&a {b: *a}", b"*a", b"!!python/object:os.system {}", b"!!int x", b"!!binary a",
    b"<<: {a: 1}", b"<<: 1", b"? [a, b]\n: c", b"? {a: b}", b"2024-13-01", b"2024-01-01", b"0o7",
    b"0x_", b"1_000",
    b"1:99:99", b"[" * 2000, b"{a: " * 400, b"- " * 1500, b"\t", b"%YAML 9.9\n---\n", b"---\n",
    b"...\n", b"|\n a\n",
    b"!!set {a}", b"!!timestamp 1", b"!!float 1_", b"!!bool x", b"null: 1", b"~", b"\xff\xfe",
    b"'", b'"\\x', b"!<", b"!a ",
    b"&a a: &a b", b"=", b"=: 1", b"!!omap [a: 1]", b"!!pairs [1]", b"!!merge x", b"._", b"-.e1",
    b"+_1", b"0b_", b"-0x",
    b"&a a: *a\n", b"190:20:30.15", b".inf", b".nan", b"1e999",
)  # fmt: skip


@st.composite
def json_files(draw: DrawFn, tree: Any) -> bytes:
    """A spoilt tree as JSON, or spoilt bytes of it."""
    changed = draw(spoil_tree(tree)) if draw(st.integers(0, 3)) else tree
    data = json.dumps(changed, ensure_ascii=draw(st.booleans())).encode()
    nest = draw(st.sampled_from((b"", b"", b"", b"", b"[" * 3000, b'{"a":' * 3000, b"9" * 5000)))
    if nest:
        place = draw(st.integers(0, len(data)))
        data = data[:place] + nest + data[place:]
    return draw(spoil(data)) if draw(st.integers(0, 2)) == 0 else data


@st.composite
def config_files(draw: DrawFn) -> bytes:
    """A spoilt configuration: values and keys, YAML that it should not hold, bytes."""
    data = _YAML
    if draw(st.integers(0, 3)):
        text = yaml.safe_dump(draw(spoil_tree(_CONFIG)), allow_unicode=draw(st.booleans()))
        data = text.encode()
    if draw(st.integers(0, 2)) == 0:
        lines = data.split(b"\n")
        place = draw(st.integers(0, len(lines) - 1))
        head = lines[place].partition(b":")[0] + b": " if draw(st.booleans()) else b""
        lines[place] = head + draw(st.sampled_from(_PIECES))
        data = b"\n".join(lines)
    return draw(spoil(data)) if draw(st.integers(0, 3)) == 0 else data


def read_card_of_folder(folder: Path) -> None:
    """What training takes of it, and prepare.py check."""
    properties = DataProperties.from_card(read_card(folder / "in"))
    plain = json.loads(json.dumps(properties.to_plain()))
    assert DataProperties.from_plain(plain) == properties
    names = [properties.name_classes(number) for number in (1, 3)]
    assert all(isinstance(name, str) for found in names for name in found.values())
    run_prepare("check", folder / "in")


def read_config(folder: Path) -> None:
    """A configuration, which once written is read back as it is."""
    config = load_config(folder / "in" / "config.yaml")
    (folder / "out").mkdir()
    written = folder / "out" / "config.yaml"
    written.write_text(dump_config(config), encoding="utf-8")
    assert load_config(written) == config


SPLITS = Kind(
    json_files(_SPLITS).map(lambda data: _FOLDER | {"splits.json": data}), read_data_folder
)
CARD = Kind(
    json_files(_CARD).map(lambda data: _FOLDER | {"dataset.json": data}), read_card_of_folder
)
CONFIG = Kind(config_files().map(lambda data: {"config.yaml": data}), read_config)
