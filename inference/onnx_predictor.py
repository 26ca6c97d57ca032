"""Networks that inference.export has written as ONNX, run by onnxruntime."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from datasets.card import DataProperties
from utils.config import Config
from utils.config_loader import override_config, restore_config
from utils.errors import UserError
from utils.files import parse_json

ONNX_SUFFIX = ".onnx"
INPUT, OUTPUT = "image", "prob"
_FORMAT = 1
# What may be set when an exported network is used; all else is in the file.
_OVERRIDABLE = ("evaluation.", "training.device")
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxFacts(NamedTuple):
    """What stands in the metadata of an exported network, each entry as JSON.

    Attributes:
        name: Of the run that trained it.
        epoch: Of the checkpoint.
        config: Of that run.
        classes: Channels of the probabilities.
        data_properties: As TrainedRun.
    """

    name: str
    epoch: int
    config: Config
    classes: int
    data_properties: DataProperties

    def to_metadata(self) -> dict[str, str]:
        """For the file; size and threshold stand apart too, for who reads it without our config."""
        properties = self.data_properties.to_plain()
        entries: dict[str, Any] = {
            "format": _FORMAT,
            "name": self.name,
            "epoch": self.epoch,
            "config": self.config.model_dump(mode="json"),
            "image_size": self.config.data.image_size,
            "threshold": self.config.evaluation.threshold,
            **properties,
            "class_values": properties["classes"],
            "classes": self.classes,
        }
        return {key: json.dumps(value) for key, value in entries.items()}


class OnnxPredictor:
    """An exported network; see inference.predictors.Predictor.

    Args:
        path: The file.
        device: auto, cpu or cuda.

    Attributes:
        facts: From the file's metadata.
        device: Where it runs, cpu or cuda.

    Raises:
        UserError: onnxruntime is missing, the file is no ONNX network or of another origin, or
            there is no such device.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError(
                f"--checkpoint {path}: onnxruntime is not installed; pip install onnxruntime"
            ) from error
        if not path.is_file():
            raise UserError(f"{path}: no such file; python -m inference.export writes one")
        available = onnxruntime.get_available_providers()
        self.device = _choose_device(device, available)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors: a warning would stand between our own lines
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=[_PROVIDERS[self.device]]
            )
        # A damaged file makes onnxruntime raise classes that it does not name.
        except Exception as error:
            raise UserError(f"{path}: not an ONNX network, or damaged; export it again") from error
        self.facts = _read_facts(path, self._session.get_modelmeta().custom_metadata_map)
        height, width = self.facts.config.data.image_size
        self.image_size, self.has_lung = (height, width), False

    def predict(self, images: Tensor) -> Tensor:
        """See Predictor."""
        (prob,) = self._session.run([OUTPUT], {INPUT: images.contiguous().numpy()})
        return torch.from_numpy(prob)


def is_onnx(path: Path) -> bool:
    """Whether a checkpoint is an exported network, by its name."""
    return path.suffix.lower() == ONNX_SUFFIX


def open_onnx(path: Path, overrides: Sequence[str] = ()) -> tuple[OnnxPredictor, OnnxFacts]:
    """An exported network, with its facts as overridden.

    Raises:
        UserError: As OnnxPredictor and override_config.
    """
    predictor = OnnxPredictor(path, "cpu")
    config = override_config(predictor.facts.config, overrides, _OVERRIDABLE)
    if config.training.device != predictor.device:
        predictor = OnnxPredictor(path, config.training.device)
    return predictor, predictor.facts._replace(config=config)


def _choose_device(device: str, available: Sequence[str]) -> str:
    has_cuda = _PROVIDERS["cuda"] in available
    if device == "cuda" and not has_cuda:
        raise UserError(
            "training.device: onnxruntime sees no CUDA here; pip install onnxruntime-gpu, or set "
            "it to auto or cpu"
        )
    return "cuda" if has_cuda and device != "cpu" else "cpu"


def _read_facts(path: Path, metadata: Mapping[str, str]) -> OnnxFacts:
    """What only files of our own tell: how slices are prepared, and what was trained."""
    if metadata.get("format") != json.dumps(_FORMAT):
        raise UserError(
            f"{path}: an ONNX network without this project's metadata (format {_FORMAT}), which "
            "says how slices are prepared; write it with python -m inference.export"
        )
    try:
        entries = {key: parse_json(value) for key, value in metadata.items()}
        return OnnxFacts(
            entries["name"],
            entries["epoch"],
            restore_config(entries["config"], path),
            entries["classes"],
            DataProperties.from_plain(entries | {"classes": entries.get("class_values", {})}),
        )
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged metadata ({error}); export it again") from error
