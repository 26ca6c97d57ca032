"""Everything of a run that changes while it trains, and how it is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from datasets.card import DataProperties
from training.checkpoint import FORMAT, entry, load_weights, save_checkpoint, spoilt_entry
from training.classes import find_classes
from training.distributed import World
from training.early_stopping import EarlyStopping
from training.epoch_record import EpochRecord
from utils.config import Config
from utils.config_loader import changed_keys, flatten, restore_config
from utils.errors import UserError

# Keys that may change when a run goes on; any other makes it another run.
_RESUMABLE = (
    "training.epochs",
    "training.device",
    "training.activation_checkpointing",
    "early_stopping.",
    "data.root",
    "data.num_workers",
    "data.cache_mib",
    "checkpoint.",
    "logging.",
)
# What else is restored, as it is.
_PLAIN = {
    "epoch": int,
    "step": int,
    "random": list | None,
    "best_epoch": int,
    "best_scores": dict,
    "seconds": int | float,
}
# Of several changed keys, those that explain the others.
_TELLING = ("model.name", "data.classes", "model.args.num_classes", "loss.function")


@dataclass
class TrainingState:
    """Network, optimizer and all that a run must know to go on as if it had never stopped.

    Attributes:
        ema: Moving average of the weights and buffers; None where it is switched off.
        scaler: Loss scale of fp16; does nothing in other precisions.
        epoch: Epochs finished, validation included.
        step: Optimizer steps done in the epoch after that.
        record: What is known of those steps.
        random: Generators of each process after the last step; None: seed anew with the epoch.
        data_properties: Of the training data, for when its folder is not at hand.
        seconds: Time spent training, over all sessions of the run.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    stopping: EarlyStopping
    scaler: torch.amp.GradScaler
    ema: AveragedModel | None = None
    epoch: int = 0
    step: int = 0
    record: EpochRecord = field(default_factory=EpochRecord)
    random: list[dict[str, Any]] | None = None
    data_properties: DataProperties = field(default_factory=DataProperties)
    best_epoch: int = 0
    best_scores: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return self.optimizer.param_groups[0]["lr"]

    @property
    def evaluated(self) -> nn.Module:
        """The network that is validated and kept: the moving average, where there is one."""
        return self.model if self.ema is None else self.ema.module

    def finish_epoch(self, loss: float) -> None:
        """Count an epoch and set the learning rate of the next one, of which nothing is known.

        Args:
            loss: Of the validation split.
        """
        self.epoch, self.step = self.epoch + 1, 0
        self.record, self.random = EpochRecord(), None
        if isinstance(self.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self.scheduler.step(loss)
        else:
            self.scheduler.step()

    def save_last(self, path: Path, config: Config) -> None:
        """Write what --resume needs; the file before stays beside it."""
        content = {
            "model": self.model.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "config": config.model_dump(mode="json"),
            **self.data_properties.to_plain(),
            "epoch": self.epoch,
            "step": self.step,
            "record": self.record.state_dict(),
            "random": self.random,
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "early_stopping": self.stopping.state_dict(),
            "best_epoch": self.best_epoch,
            "best_scores": self.best_scores,
            "seconds": self.seconds,
        }
        save_checkpoint(path, content, keep_previous=True)

    def save_best(self, path: Path, config: Config) -> None:
        """Write what test.py and predict.py need: weights, configuration, data, score."""
        content = {
            "model": self.evaluated.state_dict(),
            "config": config.model_dump(mode="json"),
            **self.data_properties.to_plain(),
            "epoch": self.epoch,
            "scores": self.best_scores,
        }
        save_checkpoint(path, content)

    def restore(
        self, content: dict[str, Any], path: Path, config: Config, world: World | None = None
    ) -> None:
        """Go on where a last.pt stopped.

        Args:
            content: What training.checkpoint read.
            path: The run's last.pt, for the messages.
            config: Of the run that goes on.
            world: The processes of the job; the main one goes on with the epoch's record.

        Raises:
            UserError: The file is unfit, or the configuration makes it another run.
        """
        if content["format"] != FORMAT or "optimizer" not in content:
            raise UserError(
                f"{path}: holds weights but not what a run needs to go on (an older version's "
                "last.pt, or a best.pt); score it with test.py, or start a new run"
            )
        former = restore_config(entry(content, "config", dict, path), path)
        changed = [k for k in changed_keys(former, config) if not k.startswith(_RESUMABLE)]
        if _classes_of(former) != _classes_of(config):  # also where only their order is another
            changed = ["data.classes", *(k for k in changed if not k.startswith("data.classes"))]
        if changed:
            raise UserError(
                f"{path}: made with another {', '.join(changed)} "
                f"({_describe_change(changed, former, config)}); resume with the run's own "
                f"settings ({path.parent / 'config.yaml'}), or start a new run"
            )
        load_weights(self.model, entry(content, "model", dict, path), path)
        if self.ema is not None:
            load_weights(self.ema, entry(content, "ema", dict, path), path)
        parts = {
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "scaler": self.scaler,
            "early_stopping": self.stopping,
            "record": self.record,
        }
        for name, part in parts.items():
            state = entry(content, name, dict, path)
            try:
                part.load_state_dict(state)
            # Each part has its own way of not understanding a value.
            except Exception as error:
                raise spoilt_entry(path, name) from error
        for name, kind in _PLAIN.items():
            setattr(self, name, entry(content, name, kind, path))
        if world is not None and not world.is_main:
            self.record = EpochRecord()


def _classes_of(config: Config) -> list[tuple[str, int]]:
    """Name and value of the classes, in the order of their channels."""
    return list(find_classes(config.data).items())


def _describe_change(keys: Sequence[str], former: Config, config: Config) -> str:
    """The most telling of the changed keys with both values."""
    telling = next((key for key in _TELLING if key in keys), keys[0])
    if telling == "data.classes":
        old, new = (dict(_classes_of(c)) or "null" for c in (former, config))
    else:
        old, new = (
            flatten(c.model_dump(mode="json")).get(telling, "default") for c in (former, config)
        )
    return f"{telling} is {old} there, {new} here"
