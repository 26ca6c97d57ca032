"""Two stages: one network finds all lesions, the next takes its map beside the slice.

Source: Inf-Net's multi-class part; see models/parts/guided.py.
"""

from collections.abc import Iterator
from pathlib import Path

from models.parts.guided import GuidedNetwork
from training.builders import OWN_LOSS
from training.checkpoint import entry, load_checkpoint, load_weights
from training.distributed import World
from training.procedures.supervised import build_trainer
from training.run_folder import RunFolder, open_run_folder
from training.runtime import Runtime
from training.trainer import Trainer
from utils.config import Config, GuideConfig, LossConfig, ModelConfig
from utils.config_loader import restore_config
from utils.errors import UserError

FIRST_STAGE = "first_stage"


def guided(
    config: Config, folder: RunFolder, resume: bool, runtime: Runtime, world: World
) -> Iterator[Trainer]:
    """Train the first stage in <folder>/first_stage, unless it is given; then the second.

    best.pt of the second stage holds both networks.

    Raises:
        UserError: As build_trainer, or a first stage that does not find lesion as one map.
    """
    if config.guide.checkpoint is None and config.guide.name is None:
        raise UserError(
            "training.procedure: guided needs guide.checkpoint, a trained first stage, or "
            "guide.name, a network to train first"
        )
    first = RunFolder(folder.path / FIRST_STAGE)
    if resume and not (first.is_begun() or folder.is_begun()):
        open_run_folder(folder, resume, world.job)  # which says that there is nothing
    path = first.best
    if config.guide.checkpoint is not None:
        path = Path(config.guide.checkpoint)
    elif not (resume and folder.is_begun()):
        _say(world, f"first stage, {config.guide.name}: {first.path}")
        go_on = resume and first.is_begun()
        yield build_trainer(_first_stage(config), first, go_on, runtime, world)
        _say(world, f"second stage, {config.model.name}: {folder.path}")
    if resume and world.is_main:
        folder.clear_first_epochs()
    content = world.from_main(lambda: load_checkpoint(path))
    config = _with_guide(config, restore_config(entry(content, "config", dict, path), path), path)

    def load(network: GuidedNetwork) -> None:
        load_weights(network.first, entry(content, "model", dict, path), path)

    yield build_trainer(config, folder, resume and folder.is_begun(), runtime, world, load)


def _first_stage(config: Config) -> Config:
    """The same settings for the guide, which finds all lesions, by the loss of its own paper."""
    training = config.training.model_copy(update={"procedure": "supervised"})
    return config.model_copy(
        update={
            "data": config.data.model_copy(update={"classes": None}),
            "model": ModelConfig(name=config.guide.name, args=config.guide.args, weights=None),
            "loss": LossConfig(function=OWN_LOSS, args={}),
            "training": training,
            "guide": GuideConfig(),
        }
    )


def _with_guide(config: Config, first: Config, path: Path) -> Config:
    """The configuration with the network of the first stage, so that a checkpoint says all."""
    if first.data.classes is not None or first.training.procedure != "supervised":
        raise UserError(
            f"guide.checkpoint: {path}: a first stage finds lesion in one map; this one "
            f"{'is guided itself' if first.data.classes is None else 'has classes'}"
        )
    args = {key: value for key, value in first.model.args.items() if key != "pretrained"}
    guide = config.guide.model_copy(update={"name": first.model.name, "args": args})
    return config.model_copy(update={"guide": guide})


def _say(world: World, line: str) -> None:
    if world.is_main:
        print(line, flush=True)
