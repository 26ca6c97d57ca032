"""Configuration files to break."""

from collections.abc import Callable
from pathlib import Path

import pytest

from utils import config_loader
from utils.config_loader import load_config, save_config

Write = Callable[[str, str], Path]


@pytest.fixture
def write_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write experiment files into a folder that stands for resources/experiments."""
    monkeypatch.setattr(config_loader, "EXPERIMENTS", tmp_path / "experiments")

    def write(name: str, text: str) -> Path:
        path = tmp_path / "experiments" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def edit_base(tmp_path: Path) -> Write:
    """Write the base configuration with one text replaced."""

    def edit(old: str, new: str) -> Path:
        path = tmp_path / "edited.yaml"
        save_config(load_config(), path)
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), encoding="utf-8")
        return path

    return edit
