"""One network fitted to labelled slices."""

from collections.abc import Callable, Iterator
from pathlib import Path

from torch import nn

from training.builders import build_loss, build_network, build_training_state
from training.checkpoint import (
    entry,
    load_checkpoint,
    load_latest_checkpoint,
    load_weights,
)
from training.data import build_training_data, count_labelled
from training.distributed import World
from training.random_state import seed_everything
from training.recorder import Recorder, SilentRecorder
from training.run_folder import RunFolder, open_run_folder
from training.run_info import collect_run_info
from training.runtime import Runtime
from training.trainer import Trainer
from utils.config import Config


def supervised(
    config: Config, folder: RunFolder, resume: bool, runtime: Runtime, world: World
) -> Iterator[Trainer]:
    """See build_trainer."""
    yield build_trainer(config, folder, resume, runtime, world)


def build_trainer(
    config: Config,
    folder: RunFolder,
    resume: bool,
    runtime: Runtime,
    world: World,
    prepare: Callable[[nn.Module], None] | None = None,
    kind: Callable[..., Trainer] = Trainer,
) -> Trainer:
    """What fits a network, or goes on with it.

    Args:
        config: The resolved configuration.
        folder: Where the run is kept.
        resume: Whether the user wants to go on.
        runtime: Device, precision, memory format.
        world: The processes of the job.
        prepare: Called with the new network before anything else is built.
        kind: Of trainer.

    Raises:
        UserError: A wrong setting, data that cannot be read, or a folder that holds another run.
    """
    seed_everything(config.training.seed)
    network = build_network(config)
    if config.model.weights is not None:
        path = Path(config.model.weights)
        load_weights(network, entry(load_checkpoint(path), "model", dict, path), path)
    if prepare is not None:
        prepare(network)
    loss = build_loss(config, network, world)
    needs_lung = "lung" in loss.required_heads
    data = build_training_data(config, runtime, world, needs_lung=needs_lung)
    state = build_training_state(config, network, loss, runtime, world)
    if world.from_main(lambda: open_run_folder(folder, resume, world.job)):
        content = world.from_main(lambda: load_latest_checkpoint(folder.last))
        state.restore(content, folder.last, config, world)
    recorder = SilentRecorder()
    if world.is_main:
        info = collect_run_info(state.model, runtime, config.training.seed, world)
        info["labelled"] = count_labelled(data.dataset)
        recorder = Recorder(config, folder, runtime, data.pictures, info)
    return kind(config, state, loss, data, runtime, folder, world, recorder)
