"""A checkpoint, of PyTorch or ONNX, opened as a predictor with all that a prediction depends on."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datasets.card import DataProperties
from datasets.transforms import SliceTransform
from inference.onnx_predictor import is_onnx, open_onnx
from inference.predictors import Flipped, LargeLesions, NetworkPredictor, Predictor
from training.ensemble import open_runs
from utils.config import Config
from utils.errors import UserError

_DIGITS = 16
_CHUNK = 1 << 20


class Model(NamedTuple):
    """What predicts, and how.

    Attributes:
        predictor: From slices to probabilities.
        name: Of the network and of the run that trained it.
        version: What tells these files from any others: the beginning of their SHA-256.
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

    @property
    def transform(self) -> SliceTransform:
        """How the network sees a slice."""
        data = self.config.data
        return SliceTransform(
            self.predictor.image_size, crop=data.crop, blur=data.blur, gamma=data.gamma
        )

    @property
    def learnt_mirrored(self) -> bool:
        """Whether training showed it mirror images of slices, left for right."""
        return self.config.data.augmentation.horizontal_flip > 0

    @property
    def has_lung(self) -> bool:
        """Whether the network has learnt lungs."""
        return self.predictor.has_lung


def open_model(
    paths: Path | Sequence[Path], overrides: Sequence[str] = (), *, flip: bool = False
) -> Model:
    """Open a checkpoint, or a network that inference.export has written as ONNX.

    Args:
        paths: The file; or several checkpoints, whose probabilities are averaged.
        overrides: 'a.b=value' pairs of --set.
        flip: Average over slices and their mirror images.

    Raises:
        UserError: As open_runs and open_onnx, or exported networks among several files.
    """
    paths = [paths] if isinstance(paths, Path) else list(paths)
    exported = [path for path in paths if is_onnx(path)]
    if exported and len(paths) > 1:
        raise UserError(
            f"--checkpoint {exported[0]}: an exported network predicts alone; average checkpoints"
        )
    model = (_open_exported if exported else _open_trained)(paths, overrides)
    if flip:
        told = f"{model.description}, mirrored as well"
        model = model._replace(predictor=Flipped(model.predictor), description=told)
    if not (min_size := model.config.evaluation.min_lesion_size):
        return model
    return model._replace(predictor=LargeLesions(model.predictor, model.threshold, min_size))


def _open_trained(paths: Sequence[Path], overrides: Sequence[str]) -> Model:
    """Checkpoints of train.py."""
    run = open_runs(paths, overrides)
    which = f"epoch {run.epoch}" if len(paths) == 1 else f"{len(paths)} networks averaged"
    return Model(
        NetworkPredictor(run),
        f"{run.config.model.name} {run.name}".rstrip(),
        _fingerprint(paths),
        run.config,
        run.data_properties,
        f"{run.config.model.name}, {which}, {run.runtime.precision} on {run.runtime.device.type}",
    )


def _open_exported(paths: Sequence[Path], overrides: Sequence[str]) -> Model:
    """A file of inference.export."""
    predictor, facts = open_onnx(paths[0], overrides)
    return Model(
        predictor,
        f"{facts.config.model.name} {facts.name}".rstrip(),
        _fingerprint(paths),
        facts.config,
        facts.data_properties,
        f"{facts.config.model.name}, epoch {facts.epoch}, ONNX on {predictor.device}",
    )


def _fingerprint(paths: Sequence[Path]) -> str:
    """The beginning of the SHA-256 of the files one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    return f"sha256:{digest.hexdigest()[:_DIGITS]}"
