"""Everything of a run that changes while it trains, and how it is kept."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from utils.checkpoint import load_checkpoint, load_weights, save_checkpoint
from utils.config import Config
from utils.config_loader import changed_keys, validate_config
from utils.early_stopping import EarlyStopping
from utils.errors import UserError

# Keys that may change when a run goes on; any other makes it another run.
_RESUMABLE = (
    "training.epochs",
    "training.device",
    "early_stopping.",
    "data.root",
    "data.num_workers",
    "checkpoint.",
    "logging.",
)


@dataclass
class TrainingState:
    """Network, optimizer, scheduler, early stopping and the epochs done."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.ReduceLROnPlateau
    stopping: EarlyStopping
    epoch: int = 0
    best_epoch: int = 0
    best_scores: dict[str, Any] = field(default_factory=dict)

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return self.optimizer.param_groups[0]["lr"]

    def note(self, val_loss: float, scores: dict[str, Any]) -> bool:
        """Tell scheduler and early stopping how an epoch went; True where it is a new best."""
        self.scheduler.step(val_loss)
        improved = self.stopping.update(scores["dice"])
        if improved:
            self.best_epoch, self.best_scores = self.epoch, scores
        return improved

    def save_last(self, path: Path, config: Config) -> None:
        """Write what --resume needs."""
        content = self._weights(config) | {
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "early_stopping": self.stopping.state_dict(),
            "best_epoch": self.best_epoch,
            "best_scores": self.best_scores,
        }
        save_checkpoint(path, content)

    def save_best(self, path: Path, config: Config) -> None:
        """Write what test.py needs: weights, configuration, the score they reached."""
        save_checkpoint(path, self._weights(config) | {"scores": self.best_scores})

    def restore(self, path: Path, config: Config) -> None:
        """Go on where last.pt stopped.

        Raises:
            UserError: The file is unfit, or the configuration makes it another run.
        """
        content = load_checkpoint(path)
        changed = changed_keys(validate_config(content["config"]), config)
        changed = [key for key in changed if not key.startswith(_RESUMABLE)]
        if changed:
            raise UserError(
                f"{path}: made with another {', '.join(changed)}; resume with the run's own "
                f"settings ({path.parent / 'config.yaml'}), or start a new run"
            )
        load_weights(self.model, content["model"], path)
        self.optimizer.load_state_dict(content["optimizer"])
        self.scheduler.load_state_dict(content["scheduler"])
        self.stopping.load_state_dict(content["early_stopping"])
        self.epoch, self.best_epoch = content["epoch"], content["best_epoch"]
        self.best_scores = content["best_scores"]

    def _weights(self, config: Config) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "config": config.model_dump(mode="json"),
            "epoch": self.epoch,
        }


def create_training_state(config: Config, model: nn.Module) -> TrainingState:
    """A fresh state: Adam, ReduceLROnPlateau and early stopping around a network."""
    optimizer = torch.optim.Adam(
        model.parameters(),
        lr=config.optimizer.learning_rate,
        weight_decay=config.optimizer.weight_decay,
        fused=True,  # one pass over the parameters, on CPU and CUDA
    )
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=config.scheduler.factor, patience=config.scheduler.patience
    )
    return TrainingState(model, optimizer, scheduler, EarlyStopping(config.early_stopping.patience))
