"""What a CUDA GPU adds; run with -m gpu on a machine that has one."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]


def train_losses(run_script: Callable, settings: list[str], save_dir: Path) -> list[float]:
    """Train, score best.pt, and give the training loss of each epoch."""
    finished = run_script("train.py", *settings, "--set", f"checkpoint.save_dir={save_dir}")
    assert finished.code == 0, finished.err
    folder = save_dir / "train_config" / "seed2"
    assert run_script("test.py", "--checkpoint", folder / "best.pt").code == 0
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return [event.value for event in events.Scalars("train/loss/total")]


@pytest.mark.parametrize(
    "changes",
    [
        ["training.precision=bf16"],
        ["training.precision=fp16"],
        ["training.precision=bf16", "training.compile=true"],
        ["training.activation_checkpointing=true"],
        ["training.accumulation_steps=2"],
        ["training.deterministic=true"],
        ["data.augment_on_device=true", "data.num_workers=2"],
    ],
    ids=lambda changes: ", ".join(changes),
)
def test_every_setting_trains_on_a_gpu_as_a_cpu_does(
    run_script: Callable, small_settings: list[str], tmp_path: Path, changes: list[str]
) -> None:
    slow = [*small_settings, "--set", "optimizer.learning_rate=1e-3"]
    on_cpu = train_losses(run_script, slow, tmp_path / "cpu")
    on_gpu = [*slow, "--set", "training.device=cuda"]
    on_gpu += [part for change in changes for part in ("--set", change)]
    losses = train_losses(run_script, on_gpu, tmp_path / "gpu")
    assert all(map(math.isfinite, losses))
    assert losses == pytest.approx(on_cpu, rel=0.02)
