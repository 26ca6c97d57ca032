"""How fast the training loader delivers, as train.py builds it."""

import io
import time
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmark.failures import noting_failure
from datasets.synthetic.generate import write_synthetic_set
from training.data import TrainingData, build_training_data
from training.runtime import Runtime
from utils.config import Config
from utils.progress import Progress

_NUM_PATIENTS = {"train": 4, "val": 1}
_NUM_SLICES = 16  # of each patient


def with_synthetic_data(config: Config, root: Path) -> Config:
    """The configuration with 64 synthetic training slices at its image size, written to root."""
    write_synthetic_set(
        root,
        num_patients=_NUM_PATIENTS,
        num_slices=_NUM_SLICES,
        image_size=max(config.data.image_size),
        seed=config.training.seed,
        min_severity=0.65,  # lesions in every patient, whatever the image size
    )
    return _with_data(config, root=str(root))


def measure_loaders(config: Config, runtime: Runtime, num_epochs: int) -> list[dict[str, Any]]:
    """Slices per second of the configured loader, without its workers, and without its cache.

    Args:
        config: Data, batch size, seed.
        runtime: Where the batches are wanted.
        num_epochs: Timed epochs, after one that starts the workers and reads every file.
    """
    default = (config.data.num_workers, config.data.cache_mib)
    rows = []
    for setting in dict.fromkeys([default, (0, default[1]), (default[0], 0)]):
        num_workers, cache_mib = setting
        name = f"workers: {num_workers}, {'cache' if cache_mib else 'no cache'}"
        rows.append({"variant": name, "is_default": setting == default})
        changed = _with_data(config, num_workers=num_workers, cache_mib=cache_mib)
        with noting_failure(rows[-1]):  # such as too little shared memory for the workers
            rows[-1]["images_per_second"] = _measure(changed, runtime, num_epochs)
    return rows


def _measure(config: Config, runtime: Runtime, num_epochs: int) -> float:
    """Slices per second, the median over the epochs."""
    with redirect_stdout(io.StringIO()) as text:
        data = build_training_data(config, runtime)
    for line in text.getvalue().splitlines():
        if line.startswith("warning:"):  # such as that there is no place for a cache
            print(line)
    seconds = []
    for epoch in Progress(range(1 + num_epochs), "loader epochs"):
        data.batches.set_epoch(epoch)
        seconds.append(_time_epoch(data, runtime))
    return data.batches.num_slices / median(seconds[1:])


def _time_epoch(data: TrainingData, runtime: Runtime) -> float:
    """Seconds of an epoch of loading."""
    start = time.perf_counter()
    for _ in data.train:
        pass
    if runtime.device.type == "cuda":
        torch.cuda.synchronize(runtime.device)  # slices may be finished there
    return time.perf_counter() - start


def _with_data(config: Config, **changes: Any) -> Config:
    return config.model_copy(update={"data": config.data.model_copy(update=changes)})
