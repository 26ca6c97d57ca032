"""The benchmark's loader and evaluation rows."""

from pathlib import Path

import pytest
import torch

from benchmark.evaluation_cost import measure_evaluation
from benchmark.loader_cost import measure_loaders, with_synthetic_data
from losses import create_loss
from training.runtime import Runtime
from utils.config_loader import load_config

CPU = Runtime(torch.device("cpu"), None, True)
SMALL = ("model.args.width=2", "model.args.depth=18", "data.image_size=32")


def test_loader_rows_differ_and_print_warnings_alone(
    data_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = [*SMALL, f"data.root={data_root}", "data.num_workers=0"]
    rows = measure_loaders(load_config(overrides=overrides), CPU, num_epochs=2)
    assert [row["variant"] for row in rows] == ["workers: 0, cache", "workers: 0, no cache"]
    assert [row["is_default"] for row in rows] == [True, False]
    assert all(row["images_per_second"] > 0 for row in rows)
    assert capsys.readouterr().out == ""
    (cache,) = (data_root / ".cache").glob("train-*.bin")
    cache.write_bytes(cache.read_bytes()[:-1])
    measure_loaders(load_config(overrides=overrides), CPU, num_epochs=1)
    assert capsys.readouterr().out.startswith(f"warning: {cache}: ")


def test_a_loader_without_cache_as_configured_is_one_row(data_root: Path) -> None:
    overrides = [*SMALL, f"data.root={data_root}", "data.num_workers=0", "data.cache_mib=0"]
    (row,) = measure_loaders(load_config(overrides=overrides), CPU, num_epochs=1)
    assert row["variant"] == "workers: 0, no cache"
    assert not (data_root / ".cache").exists()


def test_synthetic_slices_have_the_configured_size(tmp_path: Path) -> None:
    config = load_config(overrides=["data.image_size=[32, 64]"])
    changed = with_synthetic_data(config, tmp_path / "data")
    assert len(list((tmp_path / "data" / "train" / "image").glob("*.png"))) == 64
    assert changed.data.root == str(tmp_path / "data")
    assert changed.data.image_size == [32, 64]
    assert changed.model_copy(update={"data": config.data}) == config


def test_a_default_in_another_precision_has_a_row_of_its_own() -> None:
    config, loss = load_config(overrides=[*SMALL, "evaluation.batch_size=1"]), create_loss("joint")
    fp16 = Runtime(torch.device("cpu"), torch.float16, True)
    for default, expected in ((CPU, ["fp32", "bf16"]), (fp16, ["fp32", "bf16", "fp16"])):
        rows = measure_evaluation(config, loss, default, num_rounds=1)
        assert [row["variant"].split()[0] for row in rows] == expected
        assert [row["is_default"] for row in rows].count(True) == 1


def test_an_evaluation_that_needs_too_much_memory_has_a_note() -> None:
    endless = load_config(overrides=[*SMALL, "evaluation.batch_size=1000000000000"])
    rows = measure_evaluation(endless, create_loss("joint"), CPU, num_rounds=1)
    assert {row["note"] for row in rows} == {"out of memory"}
