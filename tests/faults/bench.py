"""Small training runs, started as a user starts them, that can be hit while they run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import write_slices

REPOSITORY = Path(__file__).resolve().parents[2]
OBSERVER = Path(__file__).resolve().parent / "observer"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
_LIMIT_S = 120  # a session takes 5 s on one core: what takes longer hangs

# 5 steps an epoch; augmented, with a moving average, so that every kind of state takes part.
_SETTINGS = {
    "data.image_size": 64,
    "data.num_workers": 0,
    "data.augmentation.rotation": 10.0,
    "data.augmentation.noise": 0.1,
    "model.args.width": 4,
    "model.args.depth": 18,
    "optimizer.learning_rate": "1e-2",
    "training.batch_size": 2,
    "training.device": "cpu",
    "training.ema_decay": 0.9,
    "scheduler.patience": 0,
    "early_stopping.patience": 1000,
    "logging.image_every": 0,
    "checkpoint.every_steps": 1,
}

STEPS_PER_EPOCH = 5


class Ending(NamedTuple):
    """How a session ended; code None: it hung, and was killed."""

    code: int | None
    out: str
    err: str


class Session:
    """One start of a run, in a process group of its own."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self._outputs = [log.with_suffix(suffix) for suffix in (".out", ".err")]
        with self._outputs[0].open("w") as out, self._outputs[1].open("w") as err:
            self.process = subprocess.Popen(
                command,
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                cwd=REPOSITORY,
                env=environment,
                start_new_session=True,
            )
        self.pid = self.process.pid

    @property
    def is_over(self) -> bool:
        return self.process.poll() is not None

    @property
    def out(self) -> str:
        """What it has printed so far."""
        return self._outputs[0].read_text(encoding="utf-8", errors="replace")

    def hit(self, number: int, whole_group: bool = False) -> None:
        """Send a signal, to the process or to all of its group; none where it is over."""
        if not self.is_over:
            (os.killpg if whole_group else os.kill)(self.pid, number)

    def wait(self, limit_s: float = _LIMIT_S) -> Ending:
        """Wait for its end; kill what hangs."""
        try:
            code = self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()
            code = None
        err = self._outputs[1].read_text(encoding="utf-8", errors="replace")
        return Ending(code, self.out, err)

    def wait_until(self, condition: Callable[[], bool], pause_s: float = 0.005) -> bool:
        """Wait for a condition; False where the session was over first."""
        while not self.is_over:
            if condition():
                return True
            if pause_s:
                time.sleep(pause_s)
        return False


class Run:
    """A run in a folder of its own, over all its sessions.

    Args:
        bench: What all runs share.
        name: Of its folder.
        changes: Settings that differ from the bench's.
        launcher: Arguments of Python before train.py, such as TORCHRUN.
    """

    def __init__(
        self, bench: "Bench", name: str, changes: Mapping[str, Any], launcher: Sequence[str] = ()
    ) -> None:
        self.base = bench.folder / name
        self.base.mkdir()
        self.path = self.base / "runs" / "train_config" / "seed2"
        self.last, self.best = self.path / "last.pt", self.path / "best.pt"
        self.settings = bench.settings | {"checkpoint.save_dir": self.base / "runs"} | changes
        self.launcher = launcher
        self.sessions: list[Session] = []
        self._steps = self.base / "steps"

    @property
    def num_steps(self) -> int:
        """Optimizer steps done in all sessions, some of them more than once."""
        return self._steps.stat().st_size if self._steps.exists() else 0

    @property
    def num_epochs(self) -> int:
        """Epochs told of in all sessions."""
        lines = [line for session in self.sessions for line in session.out.splitlines()]
        return sum(line.startswith("epoch ") for line in lines)

    @property
    def is_kept(self) -> bool:
        """Whether there is something to resume."""
        return self.last.exists() or self.path.joinpath("last.previous.pt").exists()

    def has_draft(self, pid: int, name: str) -> bool:
        """Whether a process is writing a file under its temporary name."""
        return any(self.path.glob(f".{pid}.*.{name}"))

    def start(
        self,
        resume: bool = False,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> Session:
        """Start a session."""
        pairs = [
            part for item in self.settings.items() for part in ("--set", "{}={}".format(*item))
        ]
        command = [*prefix, sys.executable, *self.launcher, "train.py", *pairs]
        settled = {
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(OBSERVER),
            "FAULTS_STEPS": str(self._steps),
            "XDG_CACHE_HOME": str(self.base / "cache"),
        }
        session = Session(
            command + ["--resume"] * resume,
            self.base / f"session{len(self.sessions)}",
            os.environ | settled | (environment or {}),
        )
        self.sessions.append(session)
        return session

    def go_on(self, **how: Any) -> Ending:
        """Resume it, or start it again where nothing had been saved; wait for the end."""
        return self.start(resume=self.is_kept, **how).wait()

    def start_and_reach(self, num_steps: int, **how: Any) -> Session:
        """Start or resume, and come back when so many steps are done in all."""
        session = self.start(resume=self.is_kept, **how)
        session.wait_until(lambda: self.num_steps >= num_steps)
        return session


class Bench:
    """Data, settings and uninterrupted runs that the faulty ones are held against.

    Args:
        folder: Gets everything; the caller removes it.
        epochs: Of every run.
    """

    def __init__(self, folder: Path, epochs: int = 6) -> None:
        self.folder, self.epochs = folder, epochs
        self.data = folder / "data"
        self.settings = _SETTINGS | {"data.root": self.data, "training.epochs": epochs}
        # What a shell starts in the background ignores SIGINT, and so would the runs.
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        for seed, (split, count) in enumerate({"train": 10, "val": 4}.items()):
            write_slices(self.data, split, count, seed=seed)
        self._references: dict[tuple[str, ...], Run] = {}
        self._num_runs = 0
        self.seconds = 0.0

    @property
    def num_steps(self) -> int:
        """Of a whole run."""
        return STEPS_PER_EPOCH * self.epochs

    def run(self, launcher: Sequence[str] = (), **changes: Any) -> Run:
        """A run that has not been started; section__key=value changes a setting."""
        self._num_runs += 1
        settings = {key.replace("__", "."): value for key, value in changes.items()}
        return Run(self, f"run{self._num_runs}", settings, launcher)

    def reference(self, launcher: Sequence[str] = ()) -> Run:
        """The uninterrupted run; made once for each launcher.

        Raises:
            RuntimeError: It does not end well: there is nothing to compare with.
        """
        key = tuple(launcher)
        if key not in self._references:
            run = self.run(launcher)
            start = time.monotonic()
            ending = run.go_on()
            if ending.code != 0:
                raise RuntimeError(f"the uninterrupted run ended with {ending.code}: {ending.err}")
            if not launcher:
                self.seconds = time.monotonic() - start
            self._references[key] = run
        return self._references[key]
