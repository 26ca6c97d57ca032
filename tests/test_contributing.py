"""The recipes of CONTRIBUTING.md, as they are written."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import nibabel
import numpy as np
import pytest

from datasets.sources import SOURCES
from losses import LOSSES
from metrics import METRICS, Metric
from metrics.protocols import PROTOCOLS
from models import MODELS

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).resolve().parent.parent
BLOCKS = dict(
    re.findall(
        r"```python\n# (\S+)\.py\n(.*?)```",
        (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """A file of the page as a module."""

    def load(place: str) -> ModuleType:
        module = ModuleType(place.replace("/", "."))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(BLOCKS[place], f"{place}.py", "exec"), module.__dict__)
        return module

    return load


@pytest.fixture
def scores(
    run_script: Callable, small_settings: list[str], tmp_path: Path
) -> Iterator[Callable[..., dict]]:
    """What test.py writes of a run of train.py with more settings."""

    def train_and_score(*settings: str, scoring: tuple[str, ...] = ()) -> dict:
        settings = (*small_settings, *settings, "--set", "training.epochs=1")
        if "model.name=tiny_net" in settings:  # which has no depth
            at = settings.index("model.args.depth=18")
            settings = settings[: at - 1] + settings[at + 1 :]
        trained = run_script("train.py", *settings)
        assert trained.code == 0, trained.err
        (best,) = (tmp_path / "runs").rglob("best.pt")
        scored = run_script("test.py", "--checkpoint", best, "--out", tmp_path / "out", *scoring)
        assert scored.code == 0, scored.err
        return json.loads((tmp_path / "out" / "metrics.json").read_text())

    return train_and_score


def test_every_recipe_is_tried_below() -> None:
    assert list(BLOCKS) == [
        "models/tiny_net",
        "losses/focal",
        "metrics/false_positive_rate",
        "datasets/sources/my_scans",
        "metrics/protocols/strict",
    ]


def test_a_network(written: Callable, scores: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "tiny_net", written("models/tiny_net").TinyNet)
    found = scores("--set", "model.name=tiny_net", "--set", "loss.function=own")
    # Of width 4: 1 x 4 x 9 + 4 weights and biases, then 4 x 1 x 9 + 1.
    assert found["run_info"]["num_parameters"] == 40 + 37


def test_a_loss(written: Callable, scores: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOSSES, "focal", written("losses/focal").FocalLoss)
    assert scores("--set", "loss.function=focal", "--set", "loss.args.gamma=1.5")["n"] == 4


def test_a_metric(written: Callable, scores: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    function = written("metrics/false_positive_rate").false_positive_rate
    metric = Metric(function, "FPR", "lower", is_pooled=True)
    monkeypatch.setitem(METRICS, "false_positive_rate", metric)
    found = scores()
    pooled = found["false_positive_rate_pooled"] + found["specificity_pooled"]
    assert pooled == pytest.approx(1)
    assert found["false_positive_rate"] + found["specificity"] == pytest.approx(1)


def test_a_data_set(
    written: Callable, run_script: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = written("datasets/sources/my_scans").SOURCE
    monkeypatch.setitem(SOURCES, source.facts.name, source)
    generator = np.random.default_rng(0)
    for name in ("anna", "ben", "carla"):
        values = generator.integers(-1000, 100, (16, 16, 3), np.int16)
        for kind, voxels in {"ct": values, "masks": (values > 0).astype(np.uint8)}.items():
            path = tmp_path / "downloads" / kind / f"{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-1, -1, 5, 1])), path)
    done = run_script(
        "prepare.py", "my-scans", "--from", tmp_path / "downloads", "--out", tmp_path / "made"
    )
    assert done.code == 0, done.err
    assert len(list((tmp_path / "made").glob("*/image/*.png"))) == 9
    assert json.loads((tmp_path / "made" / "dataset.json").read_text())["bits"] == 8


def test_a_protocol(written: Callable, scores: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = written("metrics/protocols/strict").STRICT
    monkeypatch.setitem(PROTOCOLS, protocol.name, protocol)
    found = scores(scoring=("--protocol", "strict"))
    assert (found["protocol"], found["threshold"]) == ("strict", 0.9)
