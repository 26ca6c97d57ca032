"""train.py with slices without labels where classes of lesion are told apart."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets.image_io import read_gray
from tests.class_data import add_classes
from tests.semi_data import PROCEDURES, fast_settings, sets, write_pool
from utils.files import read_rows

CLASSES = {"data.classes": "all", "semi_supervised.soft_labels": "false"}


@pytest.fixture
def settings(small_settings: list[str]) -> list[str]:
    return fast_settings(small_settings)


@pytest.fixture
def class_root(data_root: Path) -> Path:
    add_classes(data_root)
    write_pool(data_root)
    return data_root


@pytest.mark.parametrize("name", PROCEDURES)
def test_every_procedure_learns_and_is_scored_by_class(
    name: str, run_script: Callable, settings: list[str], class_root: Path, tmp_path: Path
) -> None:
    own = PROCEDURES[name] | CLASSES
    finished = run_script("train.py", *settings, *sets(own))
    assert finished.code == 0, finished.err
    run = tmp_path / "runs" / "train_config" / "seed2"
    finished = run_script("test.py", "--checkpoint", run / "best.pt", "--no-report")
    assert finished.code == 0, finished.err
    assert set(json.loads((run / "metrics.json").read_text())["classes"]) >= {
        "ground-glass",
        "consolidation",
    }
    for row in (
        read_rows(run / "pseudo_labels/labels.csv") if name in ("rounds", "reliable") else ()
    ):
        label = read_gray(
            run / f"pseudo_labels/round{int(row['round']):03d}/mask/{row['name']}.png"
        )
        assert set(np.unique(label)) <= {0, 16, 127, 255}
        assert np.mean(label != 16) == pytest.approx(float(row["kept"]), abs=1e-6)
        assert 1 / 3 <= float(row["confidence"]) <= 1


def test_soft_labels_of_classes_are_refused(
    run_script: Callable, settings: list[str], class_root: Path
) -> None:
    own = PROCEDURES["rounds"] | CLASSES | {"semi_supervised.soft_labels": "true"}
    finished = run_script("train.py", *settings, *sets(own))
    assert finished.code == 2
    assert finished.err.splitlines()[-1].startswith("error: semi_supervised.soft_labels: ")
