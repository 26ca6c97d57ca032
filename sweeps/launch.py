"""Runs started where there is room for them: on this machine, several at once, or on a cluster."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from sweeps.plan import Run
from utils.config_loader import save_config

REPOSITORY = Path(__file__).resolve().parent.parent
_THREAD_KEYS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_TAIL_LINES = 12
LOG = "sweep.log"
_WORKER = ("-m", "sweeps.worker")


class Task(NamedTuple):
    """What starts a run anywhere: plain values.

    Attributes:
        name: Of the run.
        command: Arguments of Python.
        log: Where its output goes, after what is there.
        threads: Of a run's process.
    """

    name: str
    command: tuple[str, ...]
    log: str
    threads: int


class Outcome(NamedTuple):
    """How a run ended: exit code, 0 for a finished one, and the last lines of its log."""

    code: int
    tail: str


class Options(NamedTuple):
    """How many runs at once, and where.

    Attributes:
        jobs: Runs at once; on this machine, of each of them.
        gpus: Numbers of the GPUs that jobs take turns on; () leaves the choice to CUDA.
        threads: Of each run's process.
    """

    jobs: int = 1
    gpus: tuple[int, ...] = ()
    threads: int = 1


def default_threads(jobs: int) -> int:
    """The processors that this process may use, shared out to the jobs."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    available = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, available // jobs)


def make_tasks(runs: Sequence[Run], data: Mapping[str, str], threads: int) -> list[Task]:
    """The tasks of runs, once their settings lie where the workers read them.

    Args:
        runs: In the order in which they start.
        data: Fingerprint of every data folder, by its root.
        threads: Of each process.
    """
    files = {run.config_file: run.config for run in reversed(runs)}
    for file, config in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        save_config(config, file)
    return [
        Task(
            run.name,
            (*_WORKER, str(run.config_file), str(run.seed), data[run.config.data.root]),
            str(run.folder.path / LOG),
            threads,
        )
        for run in runs
    ]


class LocalEngine:
    """Runs in processes of this machine.

    A stop on request reaches the processes, too: they keep their runs and end.

    Args:
        options: Jobs, GPUs, threads.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.processes: set[subprocess.Popen] = set()
        self.lock = threading.Lock()
        self.is_stopped = False
        self.slots: SimpleQueue[int | None] = SimpleQueue()
        for job in range(options.jobs):
            gpus = options.gpus
            self.slots.put(gpus[job % len(gpus)] if gpus else None)

    def run(
        self, tasks: Sequence[Task], started: Callable[[Task], None] = lambda task: None
    ) -> Iterator[tuple[Task, Outcome]]:
        """Every task with its outcome, as they end.

        Args:
            tasks: In the order in which they start.
            started: Told of a task that starts.
        """
        with ThreadPoolExecutor(self.options.jobs) as pool:
            futures: dict[Future[Outcome], Task] = {
                pool.submit(self._run_one, task, started): task for task in tasks
            }
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.stop()
                raise

    def stop(self) -> None:
        """Ask all processes to end."""
        with self.lock:
            self.is_stopped = True
            for process in self.processes:
                with suppress(OSError):
                    process.send_signal(signal.SIGTERM)

    def _run_one(self, task: Task, started: Callable[[Task], None]) -> Outcome:
        gpu = self.slots.get()
        try:
            if self.is_stopped:
                return Outcome(128 + signal.SIGTERM, "")
            started(task)
            return run_task(task, gpu, self._track)
        finally:
            self.slots.put(gpu)

    def _track(self, process: subprocess.Popen, is_running: bool) -> None:
        with self.lock:
            (self.processes.add if is_running else self.processes.discard)(process)
            if is_running and self.is_stopped:
                process.send_signal(signal.SIGTERM)


def run_task(
    task: Task,
    gpu: int | None = None,
    track: Callable[[subprocess.Popen, bool], None] = lambda process, is_running: None,
) -> Outcome:
    """Start a task's process and wait for it.

    Args:
        task: Of make_task.
        gpu: The GPU that it sees; None changes nothing.
        track: Told of the process when it starts and when it has ended.
    """
    environment = dict(os.environ) | dict.fromkeys(_THREAD_KEYS, str(task.threads))
    if gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = str(gpu)
    log = Path(task.log)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, *task.command]
    paths = [str(REPOSITORY), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment
        )
        track(process, True)
        code = process.wait()
        track(process, False)
    return Outcome(code, "" if code == 0 else read_tail(log))


def read_tail(log: Path, num_lines: int = _TAIL_LINES) -> str:
    """The last lines of a log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 100 * num_lines))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-num_lines:])
