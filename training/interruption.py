"""Ctrl-C, SIGTERM and SIGHUP as requests: the loop stops where the run can be kept."""

import os
import signal
import threading
from contextlib import suppress
from types import FrameType, TracebackType

from utils.cli import END_SIGNALS, is_ignored

_SIGNALS = (signal.SIGINT, *END_SIGNALS)
# Of the 30 s that torchrun and SLURM leave between SIGTERM and SIGKILL.
_GRACE_S = 20


class StopRequest:
    """Notes a signal while its block runs; the loop asks between two steps.

    A second Ctrl-C ends the process at once. In a job of several processes only the first signal
    counts, because the terminal and torchrun both send one; a process that does not come to the
    next step within 20 s, since it waits for one that is gone, is ended by a thread of its own.

    Args:
        in_job: Whether this is one of several processes.
        speak: Whether to tell the user that the signal was heard.
    """

    def __init__(self, in_job: bool = False, speak: bool = True) -> None:
        self.in_job, self.speak = in_job, speak
        self.signal_number: int | None = None

    @property
    def is_made(self) -> bool:
        """Whether a signal came."""
        return self.signal_number is not None

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is not threading.main_thread():
            self._former = {}  # Python delivers signals to the main thread alone
            return self
        self._former = {
            number: signal.signal(number, self._note)
            for number in _SIGNALS
            if number == signal.SIGINT or not is_ignored(number)
        }
        if self.in_job:
            self._watch_from_outside()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        if self.in_job and self._former:
            self._left.set()
            signal.set_wakeup_fd(-1)
            os.close(self._pipe)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.is_made and not self.in_job and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.is_made and self.speak:
            again = "" if self.in_job else "; Ctrl-C again leaves at once"
            # os.write, as print is not safe in a handler that may interrupt a print.
            with suppress(OSError):  # the terminal may be what has gone
                os.write(2, f"\nstopping after this step to save it{again}\n".encode())
        self.signal_number = self.signal_number or number

    def _watch_from_outside(self) -> None:
        """Wake a thread by the signal itself: the main thread may wait in a collective call."""
        reader, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        signal.set_wakeup_fd(self._pipe, warn_on_full_buffer=False)
        self._left = threading.Event()
        thread = threading.Thread(target=_end_after_grace, args=(reader, self._left), daemon=True)
        thread.start()


def _end_after_grace(reader: int, left: threading.Event) -> None:
    """Wait for a signal's byte; end the process if the block is not left within the grace."""
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        byte = pipe.read(1)
        while byte and byte[0] not in _SIGNALS:  # a loader process that ended, for one
            byte = pipe.read(1)
    if byte and not left.wait(_GRACE_S):
        os.write(2, b"error: stopped without saving: another process of the job does not answer\n")
        os._exit(128 + byte[0])
