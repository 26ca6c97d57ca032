"""The processes of a campaign: they get batches, and are started anew after an input's kill."""

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path

from tests.fuzz.batches import Batch
from tests.fuzz.failures import Failure, save
from tests.fuzz.trial import FAILED, Verdict
from tests.fuzz.worker import Begun, Broken, Done, Limits, Tried, trace_of, work

_LOOK_S = 1.0
_PATIENCE_S = 5.0
_SPAWN = multiprocessing.get_context("spawn")


class Member:
    """One process, and the batch that it is at.

    Args:
        folder: Of its own.
        out: Where failures are kept.
        seed: Of the campaign.
        limits: Of an input.
        kinds: All of the campaign's.
    """

    def __init__(
        self, folder: Path, out: Path, seed: int, limits: Limits, kinds: list[str]
    ) -> None:
        self._folder, self._out, self._seed = folder, out, seed
        self._limits, self._kinds = limits, kinds
        self.batch: Batch | None = None
        self._start()

    def _start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.pipe, other = _SPAWN.Pipe()
        arguments = (other, self._folder, self._out, self._seed, self._limits, self._kinds)
        self._process = _SPAWN.Process(target=work, args=arguments, daemon=True)
        self._process.start()
        other.close()
        self._index: int | None = None
        self._heard = time.monotonic()

    def give(self, batch: Batch | None) -> None:
        """Have a batch tried; None ends the process."""
        self.batch, self._heard = batch, time.monotonic()
        self.pipe.send(batch)

    def hear(self) -> tuple[str, Verdict] | None:
        """Take a message: the kind and verdict of an input, where it is one.

        Raises:
            RuntimeError: The process died of no input, or has a fault of its own.
        """
        try:
            message = self.pipe.recv()
        except EOFError:
            return self._bury()
        self._heard = time.monotonic()
        if isinstance(message, Broken):
            raise RuntimeError(message.trace)
        if isinstance(message, Begun):
            self._index = message.index
        elif isinstance(message, Done):
            self.batch, self._index = None, None
        elif isinstance(message, Tried):
            self._index = None
            return self.batch.kind, message.verdict
        return None

    def abort_if_silent(self) -> None:
        """End a process whose input takes too long on the clock; it writes where it was."""
        if self._index is not None and time.monotonic() - self._heard > self._limits.silent_s:
            self._heard = time.monotonic()
            os.kill(self._process.pid, signal.SIGABRT)

    def _bury(self) -> tuple[str, Verdict]:
        """Note which input the process died of, and go on behind it in another one."""
        self._process.join()
        code = self._process.exitcode
        if self.batch is None or self._index is None:
            raise RuntimeError(f"a process of the campaign ended with {code}, but of no input")
        trace = trace_of(self._folder).read_text(encoding="utf-8", errors="replace")
        reason = f"the process ended: {_name_end(code, self._limits)}\n{trace}"
        failure = Failure(self.batch.kind, self._seed, self._index, reason)
        save(self._out, failure, self._folder / "input")
        rest = self.batch._replace(first=self._index + 1)
        self._start()
        self.give(rest)
        return rest.kind, Verdict(FAILED, float(self._limits.cpu_s), reason)

    def end(self) -> None:
        """Let it go."""
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self._process.join(_PATIENCE_S)
        self._process.terminate()
        self._process.join()


def _name_end(code: int, limits: Limits) -> str:
    """An exit code in words."""
    names = {
        -signal.SIGXCPU: f"more than {limits.cpu_s} s of CPU time",
        -signal.SIGABRT: f"aborted, or silent for {limits.silent_s:g} s",
    }
    return names.get(code, signal.Signals(-code).name if code < 0 else f"exit code {code}")


def run(
    members: list[Member], next_batch: Callable[[], Batch | None]
) -> Iterator[tuple[str, Verdict]]:
    """Keep all members busy until there is no next batch; yields every input's kind and verdict."""
    by_pipe: dict[Connection, Member] = {}
    idle = list(members)
    while True:
        while idle and (batch := next_batch()) is not None:
            idle.pop().give(batch)
        by_pipe = {member.pipe: member for member in members if member.batch is not None}
        if not by_pipe:
            return
        for pipe in wait(by_pipe, _LOOK_S):
            member = by_pipe[pipe]
            tried = member.hear()
            if member.batch is None:
                idle.append(member)
            if tried:
                yield tried
        for member in by_pipe.values():
            member.abort_if_silent()
