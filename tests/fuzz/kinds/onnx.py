"""Exported networks: metadata changed, and bytes."""

import json
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import onnx
import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from inference.export import export_onnx
from inference.model import open_model
from tests.fuzz.kind import Kind
from tests.fuzz.raw import spoil
from tests.fuzz.values import odd_values, spoil_tree
from tests.saved_network import save_network
from training.trained_run import open_run


@lru_cache(maxsize=1)
def _exported() -> tuple[onnx.ModelProto, dict[str, Any]]:
    """An exported network, and its metadata as plain values."""
    with tempfile.TemporaryDirectory() as folder:
        run = open_run(save_network(Path(folder) / "best.pt"), "run")
        export_onnx(run, Path(folder) / "model.onnx")
        proto = onnx.load(Path(folder) / "model.onnx")
    return proto, {entry.key: json.loads(entry.value) for entry in proto.metadata_props}


@st.composite
def onnx_files(draw: DrawFn) -> bytes:
    """A spoilt file."""
    proto, metadata = _exported()
    changed = onnx.ModelProto()
    changed.CopyFrom(proto)
    if draw(st.integers(0, 3)):
        tree = draw(spoil_tree(metadata, odd_values))
        values = tree if isinstance(tree, dict) else {"format": tree}
        entries = {str(key): json.dumps(value) for key, value in values.items()}
        if entries and draw(st.integers(0, 4)) == 0:
            key = draw(st.sampled_from(sorted(entries)))
            entries[key] = draw(st.sampled_from(("", "{", "nan", "[" * 3000, "9" * 5000)))
        del changed.metadata_props[:]
        onnx.helper.set_model_props(changed, entries)
        return changed.SerializeToString()
    return draw(spoil(changed.SerializeToString()))


def read_onnx(folder: Path) -> None:
    """A model that predicts a slice."""
    model = open_model(folder / "in" / "model.onnx")
    height, width = model.predictor.image_size
    if height * width <= 64 * 64:
        model.predictor.predict(torch.zeros(1, 1, height, width))


ONNX = Kind(st.deferred(onnx_files).map(lambda data: {"model.onnx": data}), read_onnx)
