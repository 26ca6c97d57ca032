"""A checkpoint opened: its network, ready to predict, with the settings it was trained by."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from datasets.card import DataProperties
from training.builders import build_network, build_runtime
from training.checkpoint import entry, load_checkpoint, load_weights, spoilt_entry
from training.runtime import Runtime
from utils.config import Config, DataConfig
from utils.config_loader import override_config, restore_config
from utils.errors import UserError

# What may be set when a checkpoint is used; the rest is the checkpoint's own.
_OVERRIDABLE = (
    "data.",
    "evaluation.",
    "training.device",
    "training.precision",
    "training.channels_last",
)
_SEED_FOLDER = re.compile(r"seed\d+")
_OF_THE_NETWORK = ("data.classes", "data.crop")  # though below one of these


class TrainedRun(NamedTuple):
    """A trained network.

    Attributes:
        name: Its title, and part of file names.
        trained: The configuration it was trained by.
        config: The same, as overridden.
        network: Prepared by the runtime.
        runtime: Device, precision, memory format.
        epoch: Of the checkpoint.
        data_properties: Of the data that it was trained on.
    """

    name: str
    trained: Config
    config: Config
    network: nn.Module
    runtime: Runtime
    epoch: int
    data_properties: DataProperties = DataProperties()


def open_run(
    path: Path,
    name: str,
    overrides: Sequence[str] = (),
    data: DataConfig | None = None,
    *,
    takes_guide: bool = False,
) -> TrainedRun:
    """A checkpoint as a network that is ready to predict.

    Args:
        path: The checkpoint.
        name: Of the run.
        overrides: 'a.b=value' pairs of --set.
        data: Settings of the data set to predict; None takes the checkpoint's own. The size and
            the crop of the network's input, the width of edges, the classes and the guide are
            always its own.
        takes_guide: Whether the network gets the maps of data.guide along with the slices.

    Raises:
        UserError: As load_checkpoint and override_config.
    """
    checkpoint = load_checkpoint(path)
    trained = restore_config(entry(checkpoint, "config", dict, path), path)
    config = override_config(trained, overrides, _OVERRIDABLE)
    for key in _OF_THE_NETWORK:
        if any(override.startswith(key) for override in overrides):
            raise UserError(f"--set {key}: the checkpoint decides it; train again to change it")
    if data is not None:
        config = _with_data(config, data)
    _check_guide(path, trained.data.guide, config.data.guide, takes_guide)
    runtime = build_runtime(config)
    network = build_network(config)
    load_weights(network, entry(checkpoint, "model", dict, path), path)
    network = runtime.prepare(network)
    return TrainedRun(
        name,
        trained,
        config,
        network,
        runtime,
        entry(checkpoint, "epoch", int, path),
        _read_properties(checkpoint, path),
    )


def _check_guide(path: Path, trained: str | None, given: str | None, takes_guide: bool) -> None:
    """Refuse to leave out a guide that the network was trained with, or to add one."""
    if (trained is None) != (given is None):
        has = "no guide" if trained is None else "a guide"
        raise UserError(f"--set data.guide: {path} was trained with {has}; the checkpoint decides")
    if given is not None and not takes_guide:
        raise UserError(
            f"{path}: was trained with a map beside every slice (data.guide), which is not given "
            "here; test.py scores it, training.procedure guided makes the maps itself"
        )


def name_runs(paths: Sequence[Path]) -> list[str]:
    """A different name for every checkpoint <experiment>/seed<k>/<file>.pt, as short as can be.

    The experiment; with seed, and then with the file, where others would be called the same. A
    file that lies elsewhere is called by its own name, and then with its folders.

    Raises:
        UserError: A checkpoint stands twice.
    """
    resolved = [path.resolve() for path in paths]
    for path, given in zip(resolved, paths, strict=True):
        if resolved.count(path) > 1:
            raise UserError(f"--checkpoint: {given} stands twice; name every run once")
    parts = [_name_parts(path) for path in resolved]
    for num_parts in (1, 2, 3):
        names = [re.sub(r"[^\w.+-]+", "_", "_".join(part[:num_parts])) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{index}_{name}" for index, name in enumerate(names, 1)]


def _name_parts(path: Path) -> list[str]:
    """What names a checkpoint, the most telling part first."""
    folders = path.parent.parts[-2:]
    if _SEED_FOLDER.fullmatch(folders[-1]):
        return [*folders, path.stem]
    return [path.stem, *reversed(folders)]


def _read_properties(checkpoint: Mapping[str, Any], path: Path) -> DataProperties:
    """What the network's training data was."""
    try:
        return DataProperties.from_plain(checkpoint)
    except (ValueError, TypeError) as error:
        raise spoilt_entry(path, "intensity, bits or labels") from error


def _with_data(config: Config, data: DataConfig) -> Config:
    """The configuration for another data set."""
    keys = ("image_size", "edge_width", "classes", "guide", "crop", "blur", "gamma")
    own = {key: getattr(config.data, key) for key in keys}
    return config.model_copy(update={"data": data.model_copy(update=own)})
