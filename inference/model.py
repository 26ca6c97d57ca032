"""A checkpoint, of PyTorch or ONNX, opened as a predictor with all that a prediction depends on."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datasets.card import DataProperties
from inference.onnx_predictor import is_onnx, open_onnx
from inference.predictors import Flipped, NetworkPredictor, Predictor
from training.trained_run import open_run
from utils.config import Config

_DIGITS = 16
_CHUNK = 1 << 20


class Model(NamedTuple):
    """What predicts, and how.

    Attributes:
        predictor: From slices to probabilities.
        name: Of the network and of the run that trained it.
        version: What tells this file from any other: the beginning of its SHA-256.
        config: Of that run, as overridden.
        data_properties: Of the data that it was trained on.
        description: For the line that is printed.
    """

    predictor: Predictor
    name: str
    version: str
    config: Config
    data_properties: DataProperties
    description: str

    @property
    def threshold(self) -> float:
        """Least probability of a lesion."""
        return self.config.evaluation.threshold


def open_model(path: Path, overrides: Sequence[str] = (), *, flip: bool = False) -> Model:
    """Open a checkpoint, or a network that inference.export has written as ONNX.

    Args:
        path: The file.
        overrides: 'a.b=value' pairs of --set.
        flip: Average over slices and their mirror images.

    Raises:
        UserError: As open_run and open_onnx.
    """
    model = _open_exported(path, overrides) if is_onnx(path) else _open_trained(path, overrides)
    if not flip:
        return model
    return model._replace(
        predictor=Flipped(model.predictor), description=f"{model.description}, mirrored as well"
    )


def _open_trained(path: Path, overrides: Sequence[str]) -> Model:
    """A checkpoint of train.py."""
    run = open_run(path, path.resolve().parent.parent.name, overrides)
    return Model(
        NetworkPredictor(run),
        f"{run.config.model.name} {run.name}".rstrip(),
        _fingerprint(path),
        run.config,
        run.data_properties,
        f"{run.config.model.name}, epoch {run.epoch}, {run.runtime.precision} on "
        f"{run.runtime.device.type}",
    )


def _open_exported(path: Path, overrides: Sequence[str]) -> Model:
    """A file of inference.export."""
    predictor, facts = open_onnx(path, overrides)
    return Model(
        predictor,
        f"{facts.config.model.name} {facts.name}".rstrip(),
        _fingerprint(path),
        facts.config,
        facts.data_properties,
        f"{facts.config.model.name}, epoch {facts.epoch}, ONNX on {predictor.device}",
    )


def _fingerprint(path: Path) -> str:
    """The beginning of the file's SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()[:_DIGITS]}"
