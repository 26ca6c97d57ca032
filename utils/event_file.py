"""Events for TensorBoard, written at once and by the thread that tells them.

torch's SummaryWriter hands them to a thread of its own: what it still holds is lost with a process
that is killed, a full disk shows as that thread's traceback, and after the clock was set back
TensorBoard reads the sessions of a run in the wrong order.
"""

import os
import socket
import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

_VERSION = "brain.Event:2"


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
