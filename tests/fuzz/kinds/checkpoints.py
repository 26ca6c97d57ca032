"""best.pt and last.pt: what they hold changed and written again, or their bytes."""

import io
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from inference.model import open_model
from tests.fuzz.kind import Kind
from tests.fuzz.raw import spoil
from tests.fuzz.values import odd_values, spoil_tree
from tests.saved_network import save_network
from training.builders import build_network, create_training_state
from training.checkpoint import load_checkpoint, load_latest_checkpoint
from training.state import TrainingState
from utils.config import Config
from utils.config_loader import load_config

_RUN = ("data.image_size=32", "data.root=none", "training.device=cpu", "training.ema_decay=0.9",
        "model.name=unet", "model.args={width: 2, num_levels: 2}",
        "loss.function=dice")  # fmt: skip


def _content(path: Path) -> tuple[bytes, dict[str, Any]]:
    return path.read_bytes(), load_checkpoint(path)


@lru_cache(maxsize=1)
def best() -> tuple[bytes, dict[str, Any]]:
    """A best.pt: its bytes and what it holds."""
    with tempfile.TemporaryDirectory() as folder:
        return _content(save_network(Path(folder) / "best.pt"))


@lru_cache(maxsize=1)
def _last() -> tuple[bytes, dict[str, Any]]:
    """A last.pt of a run that has done a step."""
    config, state = _fresh_run()
    state.model(torch.randn(2, 1, 32, 32)).mask.mean().backward()
    state.optimizer.step()
    state.ema.update_parameters(state.model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "last.pt"
        state.save_last(path, config)
        return _content(path)


def _fresh_run() -> tuple[Config, TrainingState]:
    torch.manual_seed(0)
    config = load_config(overrides=_RUN)
    return config, create_training_state(config, build_network(config))


@lru_cache(maxsize=1)
def _run() -> tuple[Config, TrainingState]:
    """The run that goes on: every input is restored into it."""
    return _fresh_run()


_strange_values = odd_values | st.sampled_from(
    [
        torch.zeros(0), torch.zeros(1), torch.zeros(3, 3, dtype=torch.int64), torch.zeros(2,
        dtype=torch.complex64),
        torch.full((2, 2), float("nan")), torch.zeros(2, dtype=torch.bool),
        torch.eye(2).to_sparse(),
    ]
)  # fmt: skip


@st.composite
def checkpoint_files(draw: DrawFn, seed: Any) -> bytes:
    """A spoilt checkpoint of `seed`, which gives bytes and content."""
    data, content = seed()
    if draw(st.integers(0, 4)):
        part = draw(st.sampled_from([None, *content, "config", "config", "optimizer"]))
        tree = content if part is None or part not in content else content[part]
        changed = draw(spoil_tree(tree, _strange_values))
        if tree is not content:
            changed = content | {part: changed}
        stream = io.BytesIO()
        torch.save(changed, stream)
        data = stream.getvalue()
    return draw(spoil(data)) if draw(st.integers(0, 3)) == 0 else data


def read_best(folder: Path) -> None:
    """A model that predicts; nothing is left of a NaN, which the prediction itself refuses."""
    model = open_model(folder / "in" / "best.pt")
    assert isinstance(model.threshold, float)
    height, width = model.predictor.image_size
    if height * width <= 64 * 64:
        model.predictor.predict(torch.zeros(1, 1, height, width))


def read_last(folder: Path) -> None:
    """A run that goes on."""
    config, state = _run()
    path = folder / "in" / "last.pt"
    state.restore(load_latest_checkpoint(path), path, config)
    assert state.learning_rate is not None


BEST = Kind(
    st.deferred(lambda: checkpoint_files(best)).map(lambda data: {"best.pt": data}), read_best
)
LAST = Kind(
    st.deferred(lambda: checkpoint_files(_last)).map(lambda data: {"last.pt": data}), read_last
)
