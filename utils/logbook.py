"""What TensorBoard is told about a run."""

import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch.utils.tensorboard import summary

from utils.event_file import EventFile


class Logbook:
    """Scalars, pictures, the configuration and the final score of a run.

    Args:
        folder: Where the event files go.
        first_epoch: Epochs from here on replace those of an earlier, interrupted writer.
    """

    def __init__(self, folder: Path, first_epoch: int = 1) -> None:
        self._events = EventFile(folder, first_epoch)

    def write_text(self, tag: str, text: str) -> None:
        """A text in a fixed-width block."""
        self._events.add(summary.text(tag, f"```\n{text}\n```"))

    def write_scalars(self, prefix: str, values: Mapping[str, float], epoch: int) -> None:
        """Scalars under <prefix>/<name>."""
        for name, value in values.items():
            self._events.add(summary.scalar(f"{prefix}/{name}", value), epoch)

    def write_figure(self, tag: str, figure: Figure, epoch: int) -> None:
        """A picture."""
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        self._events.add(summary.image(tag, pixels, dataformats="HWC"), epoch)

    def write_score(self, settings: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        """The settings that were chosen beside the final score (the HParams tab)."""
        plain = {k: v if isinstance(v, bool | int | float) else str(v) for k, v in settings.items()}
        tagged = {f"val_best/{name}": value for name, value in scores.items()}
        for part in summary.hparams(plain, tagged):
            self._events.add(part)
        for tag, value in tagged.items():
            self._events.add(summary.scalar(tag, value))

    def flush(self) -> None:
        """Make everything told so far outlive this process."""
        self._events.flush()

    def close(self) -> None:
        """Write what is pending."""
        self._events.close()


def peak_memory_mib(device: torch.device) -> float:
    """Peak memory in MiB: of the tensors on a GPU, of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    # Linux counts KiB, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
