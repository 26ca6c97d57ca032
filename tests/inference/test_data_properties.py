from collections.abc import Callable
from pathlib import Path

import pytest
from saved_network import save_network

from datasets.card import DataCard, DataProperties, write_card
from datasets.intensity import IntensityRule
from inference.model import open_model
from training.checkpoint import load_checkpoint

LABELS = {1: "ground glass", 2: "consolidation"}
RULE = IntensityRule("HU", -1400.0, 100.0)


@pytest.fixture
def train(run_script: Callable, small_settings: list[str], tmp_path: Path) -> Callable:
    """Train for an epoch; gives the folder of the run."""

    def run(*arguments: str) -> Path:
        finished = run_script("train.py", *small_settings, "--set", "training.epochs=1", *arguments)
        assert finished.code == 0, finished.err
        return tmp_path / "runs" / "train_config" / "seed2"

    return run


def test_a_checkpoint_keeps_the_rule_of_its_training_data(train: Callable, data_root: Path) -> None:
    write_card(data_root, DataCard((), RULE, 16, LABELS))
    folder = train()
    for name in ("best.pt", "last.pt"):
        content = load_checkpoint(folder / name)
        assert (content["intensity"], content["bits"]) == (RULE.to_plain(), 16)
    assert open_model(folder / "best.pt").data_properties == DataProperties(RULE, 16, LABELS)


def test_data_without_a_card_give_no_rule(train: Callable) -> None:
    assert open_model(train() / "best.pt").data_properties == DataProperties(None, 8, {})


def test_a_card_that_cannot_be_read_stops_training_before_it_begins(
    run_script: Callable, refused: Callable, small_settings: list[str], data_root: Path
) -> None:
    (data_root / "dataset.json").write_text("{")
    refused(run_script("train.py", *small_settings), "dataset.json", "not a data card")


def test_classes_are_called_by_their_names_where_these_are_known() -> None:
    data = DataProperties(labels=LABELS)
    assert data.name_classes(1) == {1: "Lesion"}
    assert data.name_classes(3) == {**LABELS, 3: "Lesion class 3"}


def test_checkpoints_of_earlier_versions_open_without_a_rule(tmp_path: Path) -> None:
    path = save_network(tmp_path / "small" / "seed0" / "best.pt", intensity=None, bits=None)
    assert "intensity" not in load_checkpoint(path)
    model = open_model(path)
    assert model.data_properties == DataProperties(None, 8, {})
    assert (model.name, model.threshold) == ("resunet small", 0.5)


def test_equal_weights_in_one_file_have_one_version(tmp_path: Path) -> None:
    one = save_network(tmp_path / "a" / "best.pt")
    other = save_network(tmp_path / "b" / "best.pt", epoch=2)
    copy = tmp_path / "copy.pt"
    copy.write_bytes(one.read_bytes())
    versions = [open_model(path).version for path in (one, copy, other)]
    assert versions[0] == versions[1] != versions[2]
    assert versions[0].startswith("sha256:")
