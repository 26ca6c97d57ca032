"""What TensorBoard shows of a run; its events, written at once by the thread that has them.

torch's SummaryWriter hands them to a thread of its own: what it still holds is lost with a process
that is killed, a full disk shows as that thread's traceback, and after the clock was set back
TensorBoard reads the sessions of a run in the wrong order.
"""

import os
import resource
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import summary

_VERSION = "brain.Event:2"


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
        self.write_image(tag, np.asarray(canvas.buffer_rgba())[..., :3], epoch)

    def write_image(self, tag: str, pixels: np.ndarray, epoch: int) -> None:
        """A picture (H, W, 1 or 3) uint8."""
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


class EventFile:
    """One session's events.

    Args:
        folder: Where the files of all sessions lie.
        first_step: Events of earlier sessions from this step on are hidden.

    Raises:
        OSError: It cannot be written; so do all methods.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # The newest, whatever the clock says: TensorBoard reads in the order of the names.
        second = max([int(time.time()), *(stamp + 1 for stamp in _stamps(folder))])
        name = f"events.out.tfevents.{second:010d}.{socket.gethostname()}.{os.getpid()}"
        self._stream = (folder / name).open("xb")
        self._records = RecordWriter(self._stream)
        self._add(file_version=_VERSION)
        self._add(step=first_step, session_log=SessionLog(status=SessionLog.START))
        self.flush()

    def add(self, summary: Summary, step: int = 0) -> None:
        """Append what torch.utils.tensorboard.summary has made."""
        self._add(step=step, summary=summary)

    def flush(self) -> None:
        """Hand everything to the system: from here on it outlives this process."""
        self._stream.flush()

    def close(self) -> None:
        """Write what is pending; the file is closed even where that fails."""
        self._stream.close()

    def _add(self, **fields: Any) -> None:
        self._records.write(Event(wall_time=time.time(), **fields).SerializeToString())


def _stamps(folder: Path) -> list[int]:
    """The seconds in the names of the event files."""
    parts = [path.name.split(".")[3] for path in folder.glob("events.out.tfevents.*")]
    return [int(part) for part in parts if part.isdecimal()]
