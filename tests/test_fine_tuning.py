"""model.weights: a run that starts from the weights of another."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import Finished


@pytest.fixture
def trained(run_script: Callable, small_settings: list[str], tmp_path: Path) -> Path:
    run_script("train.py", *small_settings, "--set", "training.epochs=1")
    (best,) = (tmp_path / "runs").rglob("best.pt")
    return best


@pytest.fixture
def start_from(
    run_script: Callable, small_settings: list[str], trained: Path, tmp_path: Path
) -> Callable[..., Finished]:
    def start(*changes: str, weights: Path = trained) -> Finished:
        pairs = (f"model.weights={weights}", f"checkpoint.save_dir={tmp_path / 'tuned'}", *changes)
        return run_script("train.py", *small_settings, *(x for p in pairs for x in ("--set", p)))

    return start


def test_training_starts_from_the_weights_of_a_checkpoint(
    start_from: Callable[..., Finished], trained: Path, tmp_path: Path
) -> None:
    started = start_from("optimizer.learning_rate=1e-12", "training.seed=7", "training.epochs=1")
    assert started.code == 0, started.err
    (best,) = (tmp_path / "tuned").rglob("best.pt")
    own, given = (torch.load(path, weights_only=True)["model"] for path in (best, trained))
    for name in (n for n in own if n.endswith("weight")):
        torch.testing.assert_close(own[name], given[name], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [("model.args.width=8", "weights of another network"), (None, "no such checkpoint")],
)
def test_weights_that_do_not_fit_or_do_not_exist_are_refused_in_one_line(
    start_from: Callable[..., Finished], tmp_path: Path, change: str | None, message: str
) -> None:
    refused = start_from(change) if change else start_from(weights=tmp_path / "none.pt")
    assert refused.code == 2
    assert message in refused.err
    assert refused.err.count("\n") == 1
    assert not list((tmp_path / "tuned").rglob("*.pt"))
