"""How fast the training loader delivers, as train.py builds it."""

import contextlib
import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmark.step_cost import MACHINE_ERRORS, describe_failure
from datasets.synthetic.generate import write_synthetic_set
from training.data import TrainingData, build_training_data
from training.runtime import Runtime
from utils.config import Config
from utils.progress import Progress

_NUM_PATIENTS = {"train": 4, "val": 1}
_NUM_SLICES = 16  # of each patient


@contextlib.contextmanager
def synthetic_data(config: Config) -> Iterator[Config]:
    """The configuration with 64 synthetic training slices at its image size as its data."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder) / "data"
        write_synthetic_set(
            root,
            num_patients=_NUM_PATIENTS,
            num_slices=_NUM_SLICES,
            image_size=max(config.data.image_size),
            seed=config.training.seed,
            min_severity=0.65,  # lesions in every patient, whatever the image size
        )
        yield _with_data(config, root=str(root))


def measure_loaders(config: Config, runtime: Runtime, num_epochs: int) -> list[dict[str, Any]]:
    """Slices per second of the configured loader, without its workers, and without its cache.

    Args:
        config: Data, batch size, seed.
        runtime: Where the batches are wanted.
        num_epochs: Timed epochs, after one that starts the workers and reads every file.
    """
    data = config.data
    settings = [
        (data.num_workers, data.cache_mib),
        (0, data.cache_mib),
        (data.num_workers, 0),
    ]
    rows = []
    for num_workers, cache_mib in dict.fromkeys(settings):
        changed = _with_data(config, num_workers=num_workers, cache_mib=cache_mib)
        rows.append(
            {
                "variant": f"workers: {num_workers}, {'cache' if cache_mib else 'no cache'}",
                "is_default": not rows,
            }
            | _measure(changed, runtime, num_epochs)
        )
    return rows


def _build_quietly(config: Config, runtime: Runtime) -> TrainingData:
    """The loaders; of what their making prints, the warnings."""
    with contextlib.redirect_stdout(io.StringIO()) as text:
        data = build_training_data(config, runtime)
    for line in text.getvalue().splitlines():
        if line.startswith("warning:"):
            print(line)
    return data


def _measure(config: Config, runtime: Runtime, num_epochs: int) -> dict[str, Any]:
    """Slices per second, the median over the epochs; or a note why there are none."""
    data, seconds = _build_quietly(config, runtime), []
    try:
        for epoch in Progress(range(1 + num_epochs), "loader epochs"):
            data.batches.set_epoch(epoch)
            seconds.append(_time_epoch(data, runtime))
    except MACHINE_ERRORS as error:  # such as too little shared memory for the workers
        return {"note": describe_failure(error)}
    return {"images_per_second": data.batches.num_slices / median(seconds[1:])}


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
