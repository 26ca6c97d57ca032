"""Batches and training steps that take milliseconds."""

import torch
from torch import nn

from losses import create_loss
from models import create_model
from training.builders import create_training_state
from training.early_stopping import EarlyStopping
from training.engine import train_one_epoch
from training.epoch_record import EpochRecord, TrainResult
from training.runtime import Runtime, create_runtime
from training.state import TrainingState
from training.step import TrainingStep
from utils.config import Config
from utils.config_loader import load_config
from utils.contracts import Batch, SegOutput

CPU = create_runtime("cpu", "fp32", channels_last=True)


def disc_batch(size: int = 32, count: int = 4) -> Batch:
    """Noisy slices with a bright disc each."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    masks = [
        ((rows - 10 - i) ** 2 + (columns - 16) ** 2 < (5 + i) ** 2).float() for i in range(count)
    ]
    mask = torch.stack(masks)[:, None]
    image = mask + 0.3 * torch.randn(mask.shape, generator=generator)
    return {
        "image": image,
        "mask": mask,
        "edge": mask - (nn.functional.avg_pool2d(mask, 3, 1, 1) == 1).float(),
        "lung": torch.zeros_like(mask),
        "has_lung": torch.zeros(count, dtype=torch.bool),
        "is_padding": torch.zeros(count, dtype=torch.bool),
        "name": [f"slice{i}" for i in range(count)],
        "patient": [f"patient{i // 2}" for i in range(count)],
    }


class SmallNetwork(nn.Module):
    """Mask, edge and semantic maps by a few convolutions, with dropout, without batch norm."""

    def __init__(self, width: int = 6, dropout: float = 0.3) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.Tanh(), nn.Conv2d(width, width, 3, padding=1)
        )
        self.dropout = dropout
        self.heads_of = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in range(3))

    def forward(self, image: torch.Tensor, with_maps: bool = False) -> SegOutput:
        # Drawn per slice, so that a slice meets the same dropout in whatever part of a batch.
        kept = torch.stack(
            [torch.rand(self.body[2].out_channels, device=image.device) for _ in image]
        )
        features = self.body(image)
        if self.training:
            features = features * (kept > self.dropout)[:, :, None, None]
        mask, edge, semantic = (head(features) for head in self.heads_of)
        return SegOutput(mask=mask, edge=(edge,), semantic=(semantic,))


def make_step(
    model: nn.Module,
    loss: str | nn.Module = "joint",
    optimizer: torch.optim.Optimizer | None = None,
    runtime: Runtime = CPU,
    **options: object,
) -> TrainingStep:
    """A training step; Adam at 1e-2 unless told otherwise."""
    model = runtime.prepare(model)
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=1e-2)
    state = TrainingState(
        model,
        optimizer,
        torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer),
        EarlyStopping(5),
        torch.amp.GradScaler("cpu", enabled=runtime.precision == "fp16"),
    )
    loss = create_loss(loss) if isinstance(loss, str) else loss
    return TrainingStep(state, loss, runtime, **options)


def train(step: TrainingStep, *batches: Batch) -> TrainResult:
    """One epoch of these batches."""
    record = EpochRecord()
    train_one_epoch(step, batches, record)
    return record.result()


def snapshot(model: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def state_of(name: str, **args: object) -> tuple[Config, TrainingState]:
    """The configuration and the fresh state of a run of a network."""
    values = {"model.name": name} | {f"model.args.{key}": value for key, value in args.items()}
    config = load_config(overrides=[f"{key}={value}" for key, value in values.items()])
    return config, create_training_state(config, create_model(name, **args))
