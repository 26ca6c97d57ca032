"""Two processes that form a group, for all tests of a session: starting them takes seconds."""

import multiprocessing as mp
import pickle
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist

from training.distributed import leave_world
from training.random_state import seed_everything

_SIZE = 2
_GRACE_S = 2  # for the other process, which may wait for one that has failed


class ProcessPair:
    """Runs one function after the other in two processes, which start with the first.

    Every function finds seeded generators, float32, one thread and the warnings filters of the
    start; what else the one before it changed (a module, the environment) is still so. After a
    failure the next one gets new processes.

    Args:
        patience: Seconds to wait for an answer.
    """

    def __init__(self, patience: float = 120) -> None:
        self.patience = patience
        self.processes: list[BaseProcess] = []
        self.connections: list[Connection] = []

    def run(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """What function(rank, *arguments) gives in each process.

        Args:
            function: Of a module, so that a process finds it.
            *arguments: Its further arguments.

        Raises:
            RuntimeError: The function failed, with its traceback; a process died or hangs.
        """
        if not self.processes:
            self._start()
        for connection in self.connections:
            with suppress(OSError):  # a process that is gone is told of by its missing answer
                connection.send_bytes(pickle.dumps((function, arguments)))
        values, failures = self._answers()
        if failures:
            self._kill()
            raise RuntimeError("\n".join(f"process {r} {failures[r]}" for r in sorted(failures)))
        return [values[rank] for rank in range(_SIZE)]

    def close(self) -> None:
        """Let the processes part and end.

        Raises:
            RuntimeError: One did not end well.
        """
        for connection in self.connections:
            with suppress(OSError):
                connection.send_bytes(b"")
        for process in self.processes:
            process.join(self.patience)
        exit_codes = [process.exitcode for process in self.processes]
        self._kill()
        if any(code != 0 for code in exit_codes):
            raise RuntimeError(f"the pair ended with exit codes {exit_codes}")

    def _start(self) -> None:
        context = mp.get_context("spawn")
        self.folder = TemporaryDirectory()
        store = Path(self.folder.name) / "store"
        for rank in range(_SIZE):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(rank, store, theirs), daemon=True)
            process.start()
            theirs.close()  # the process has the only one left: the connection ends with it
            self.processes.append(process)
            self.connections.append(ours)

    def _answers(self) -> tuple[dict[int, Any], dict[int, str]]:
        """The values by rank, and what went wrong."""
        values, failures = {}, {}
        waiting = {connection: rank for rank, connection in enumerate(self.connections)}
        deadline = time.monotonic() + self.patience
        while waiting:
            ready = wait(list(waiting), timeout=max(0, deadline - time.monotonic()))
            if not ready:
                return values, failures or dict.fromkeys(waiting.values(), "does not answer")
            for connection in ready:
                rank = waiting.pop(connection)
                try:
                    value, failure = pickle.loads(connection.recv_bytes())
                except (EOFError, OSError):
                    self.processes[rank].join()
                    failure = f"died with exit code {self.processes[rank].exitcode}"
                if failure is None:
                    values[rank] = value
                else:
                    failures[rank] = failure
                    deadline = min(deadline, time.monotonic() + _GRACE_S)
        return values, failures

    def _kill(self) -> None:
        """End what is left of the processes."""
        if not self.processes:
            return
        for process, connection in zip(self.processes, self.connections, strict=True):
            process.kill()
            process.join()
            connection.close()
        self.processes, self.connections = [], []
        self.folder.cleanup()


def _serve(rank: int, store: Path, connection: Connection) -> None:
    """Answer the calls that are sent, until an empty one is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the session ends its pair
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=_SIZE)
    while call := connection.recv_bytes():
        connection.send_bytes(_answer(rank, call))
    leave_world()


def _answer(rank: int, call: bytes) -> bytes:
    """The function's value and None, or None and its traceback.

    Pickled here, as the connection itself would send tensors as shared memory.
    """
    try:
        function, arguments = pickle.loads(call)
        seed_everything(0)
        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float32)
        with warnings.catch_warnings():
            return pickle.dumps((function(rank, *arguments), None))
    except Exception:
        return pickle.dumps((None, f"failed:\n{traceback.format_exc()}"))
