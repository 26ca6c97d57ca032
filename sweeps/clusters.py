"""Runs on a cluster by an engine that knows it: Ray, or SLURM through submitit.

Both start sweeps.launch.run_task where there is room, on a disk that all machines share. Neither is
needed for a sweep on one machine: requirements-cluster.txt has them.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sweeps.launch import REPOSITORY, LocalEngine, Options, Outcome, Task, run_task
from utils.errors import UserError

ENGINES = ("local", "ray", "slurm", "submitit-local")
_PERIOD_S = 0.5
_LOST = 1  # exit code of a run whose machine has gone


class Backend(Protocol):
    """What is asked of an engine; a handle is its own."""

    def submit(self, task: Task) -> Any: ...

    def is_done(self, handle: Any) -> bool: ...

    def result(self, handle: Any) -> Outcome: ...

    def cancel(self, handle: Any) -> None: ...

    def close(self) -> None: ...


class RayBackend:
    """Ray: the cluster of RAY_ADDRESS, or one of its own on this machine.

    Args:
        options: Threads of a run; a run gets a GPU's share where GPUs are named.
    """

    def __init__(self, options: Options) -> None:
        self.ray = _import("ray")
        place = os.environ.get("PYTHONPATH")
        paths = os.pathsep.join([str(REPOSITORY), *([place] if place else [])])
        own = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": options.jobs * options.threads}
        self.ray.init(
            **own,
            include_dashboard=False,
            log_to_driver=False,
            runtime_env={"env_vars": {"PYTHONPATH": paths}},
        )
        share = len(options.gpus) / options.jobs
        resources = {"num_cpus": options.threads, "max_retries": 0}
        resources |= {"num_gpus": min(1, share)} if options.gpus else {}
        self.start = self.ray.remote(**resources)(run_task).remote

    def submit(self, task: Task) -> Any:
        return self.start(task)

    def is_done(self, handle: Any) -> bool:
        return bool(self.ray.wait([handle], timeout=0)[0])

    def result(self, handle: Any) -> Outcome:
        try:
            return Outcome(*self.ray.get(handle))
        except self.ray.exceptions.RayError as error:
            return Outcome(_LOST, str(error))

    def cancel(self, handle: Any) -> None:
        self.ray.cancel(handle, force=True)

    def close(self) -> None:
        self.ray.shutdown()


class SubmititBackend:
    """SLURM through submitit, or its local executor.

    Args:
        options: Threads of a run.
        folder: Where submitit keeps its own files.
        cluster: slurm or local.
        settings: Of SLURM, such as partition and time, in submitit's names.
    """

    def __init__(
        self, options: Options, folder: Path, cluster: str, settings: Mapping[str, str]
    ) -> None:
        self.submitit = _import("submitit")
        try:
            self.executor = self.submitit.AutoExecutor(folder, cluster=cluster)
            self.executor.update_parameters(
                name="sweep", timeout_min=24 * 60, cpus_per_task=options.threads
            )
            if options.gpus:
                self.executor.update_parameters(gpus_per_node=1)
            if settings:
                named = {f"slurm_{key}": value for key, value in settings.items()}
                self.executor.update_parameters(**named)
        except (RuntimeError, ValueError, TypeError, NameError) as error:
            raise UserError(f"--engine {cluster}: {str(error).splitlines()[0]}") from error

    def submit(self, task: Task) -> Any:
        return self.executor.submit(run_task, task)

    def is_done(self, handle: Any) -> bool:
        return handle.done()

    def result(self, handle: Any) -> Outcome:
        try:
            return Outcome(*handle.result())
        except Exception as error:  # of another process: whatever it is, the run has failed
            return Outcome(_LOST, str(error))

    def cancel(self, handle: Any) -> None:
        handle.cancel()

    def close(self) -> None:
        """Nothing stays open."""


class PolledEngine:
    """Keeps as many tasks of a backend under way as there are jobs.

    Args:
        backend: Starts them.
        jobs: At once.
    """

    def __init__(self, backend: Backend, jobs: int) -> None:
        self.backend, self.jobs = backend, jobs

    def run(
        self, tasks: Sequence[Task], started: Callable[[Task], None] = lambda task: None
    ) -> Iterator[tuple[Task, Outcome]]:
        """See LocalEngine.run."""
        waiting, running = list(reversed(tasks)), {}
        try:
            while waiting or running:
                while waiting and len(running) < self.jobs:
                    task = waiting.pop()
                    running[task] = self.backend.submit(task)
                    started(task)
                for task, handle in list(running.items()):
                    if self.backend.is_done(handle):
                        del running[task]
                        yield task, self.backend.result(handle)
                time.sleep(_PERIOD_S)
        finally:
            for handle in running.values():
                self.backend.cancel(handle)
            self.backend.close()


def create_engine(
    name: str, options: Options, folder: Path, settings: Mapping[str, str]
) -> LocalEngine | PolledEngine:
    """The engine of that name.

    Args:
        name: One of ENGINES.
        options: Jobs, GPUs, threads.
        folder: For an engine's own files.
        settings: Of SLURM.

    Raises:
        UserError: Its package is not installed, or there is no such cluster here.
    """
    if settings and name != "slurm":
        raise UserError(f"--slurm: goes with --engine slurm, not with {name}")
    if name == "local":
        return LocalEngine(options)
    if name == "ray":
        return PolledEngine(RayBackend(options), options.jobs)
    cluster = "slurm" if name == "slurm" else "local"
    return PolledEngine(SubmititBackend(options, folder, cluster, settings), options.jobs)


def _import(name: str) -> Any:
    """An optional package."""
    try:
        return __import__(name)
    except ImportError as error:
        raise UserError(
            f"--engine: {name} is not installed; 'pip install -r requirements-cluster.txt'"
        ) from error
