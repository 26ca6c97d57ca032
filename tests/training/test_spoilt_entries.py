"""Checkpoints that are whole, with entries that no version of this project writes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from small_steps import state_of

from training.checkpoint import load_checkpoint, save_checkpoint
from training.trained_run import open_run
from utils.errors import UserError

SPARSE = torch.eye(2).to_sparse()


def refused(path: Path, **changes: Any) -> str:
    """What is said of a best.pt with other entries; None leaves one out."""
    config, state = state_of("unet", width=4)
    state.save_best(path, config)
    content = load_checkpoint(path) | changes
    save_checkpoint(path, {key: value for key, value in content.items() if value is not None})
    with pytest.raises(UserError) as caught:
        open_run(path, "run")
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line
    return line


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"format": torch.zeros(2)}, "not a checkpoint"),
        ({"format": SPARSE}, "not a checkpoint"),
        ({"config": None}, "its entry 'config' makes no sense"),
        ({"config": 3}, "its entry 'config'"),
        ({"config": {"model": {"args": {"width": torch.zeros(1)}}}}, "model.args: must hold"),
        ({"config": {"data": SPARSE}}, "data: must be a section"),
        ({"config": {"a\nb": 1}}, r"a\nb: unknown key"),
        ({"config": {"training": {"precision": "x" * 5000}}}, "training.precision"),
        ({"model": None}, "its entry 'model'"),
        ({"model": {"head.bias": [1.0]}}, "its entry 'model'"),
        ({"model": {"head.bias": SPARSE}}, "its entry 'model'"),
        ({"model": {3: torch.zeros(1), "a": torch.zeros(1)}}, "weights of another network"),
        ({"epoch": "last"}, "its entry 'epoch'"),
        ({"epoch": True}, "its entry 'epoch'"),
        ({"bits": torch.zeros(2)}, "intensity, bits or labels"),
        ({"bits": 7}, "intensity, bits or labels"),
        ({"labels": 3}, "intensity, bits or labels"),
        ({"labels": {"one": "a"}}, "intensity, bits or labels"),
        ({"intensity": {3: 4}}, "intensity, bits or labels"),
        ({"intensity": {"unit": "HU", "low": 1, "high": 0}}, "intensity, bits or labels"),
    ],
)
def test_a_spoilt_best_pt_is_refused_in_a_line(
    tmp_path: Path, changes: dict[str, Any], part: str
) -> None:
    line = refused(tmp_path / "best.pt", **changes)
    assert part in line
    assert len(line) < 500 + len(str(tmp_path))


def test_weights_that_are_complex_are_those_of_another_network(tmp_path: Path) -> None:
    _, state = state_of("unet", width=4)
    weights = {key: tensor + 0j for key, tensor in state.model.state_dict().items()}
    assert "of another shape" in refused(tmp_path / "best.pt", model=weights)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("config", [1]),
        ("optimizer", 3),
        ("optimizer", {"state": {}}),
        ("scheduler", None),
        ("scaler", "a"),
        ("early_stopping", {}),
        ("record", {"averages": {}}),
        ("epoch", 1.5),
        ("step", None),
        ("random", 7),
        ("best_scores", []),
        ("seconds", "long"),
    ],
)
def test_a_spoilt_last_pt_is_refused_by_the_name_of_the_entry(
    tmp_path: Path, key: str, value: Any
) -> None:
    path = tmp_path / "last.pt"
    config, state = state_of("unet", width=4)
    state.save_last(path, config)
    content = load_checkpoint(path) | {key: value}
    with pytest.raises(UserError, match=f"^{path}: its entry '{key}' makes no sense"):
        state.restore(content, path, config)
