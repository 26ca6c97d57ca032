"""What a sweep shows while it runs: a live table on a terminal, lines in a log."""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sweeps.launch import Outcome, Task, read_tail
from utils.messages import count, printable

_PERIOD_S = 1.0
_WIDTH = 110
_STATE = "epoch"


class Board:
    """Counts runs, and shows those that are running.

    Args:
        num_runs: Of the whole plan.
        num_finished: That were finished before.
        tasks: Those to run.
        jobs: At once, for the time that is left.
    """

    def __init__(self, num_runs: int, num_finished: int, tasks: Sequence[Task], jobs: int) -> None:
        self.num_runs, self.num_finished, self.jobs = num_runs, num_finished, jobs
        self.num_left = len(tasks)
        self.running: dict[Task, float] = {}
        self.seconds: list[float] = []
        self.failures: dict[Task, Outcome] = {}
        self.is_live = sys.stdout.isatty()
        self.num_drawn = 0
        self.lock = threading.Lock()

    @contextmanager
    def open(self) -> Iterator[None]:
        """The block in which runs start and end; the table is drawn anew every second."""
        is_over = threading.Event()

        def draw() -> None:
            while not is_over.wait(_PERIOD_S):
                with self.lock:
                    self._draw()

        if self.is_live:
            threading.Thread(target=draw, daemon=True).start()
        try:
            yield
        finally:
            is_over.set()
            with self.lock:
                self._clear()

    def started(self, task: Task) -> None:
        """A run begins."""
        with self.lock:
            self.running[task] = time.monotonic()
            self._say(f"started  {task.name}")

    def ended(self, task: Task, outcome: Outcome) -> None:
        """A run is finished or has failed."""
        with self.lock:
            seconds = time.monotonic() - self.running.pop(task, time.monotonic())
            self.num_left -= 1
            if outcome.code == 0:
                self.num_finished += 1
                self.seconds.append(seconds)
                self._say(f"finished {task.name}, {seconds / 60:.1f} min; {self.summary()}")
            else:
                self.failures[task] = outcome
                self._say(f"failed   {task.name}, exit code {outcome.code}; see {task.log}")

    def summary(self) -> str:
        """How many of the runs are finished, and how long the rest will take."""
        text = f"{self.num_finished} of {count(self.num_runs, 'run')} finished"
        if self.failures:
            text += f", {len(self.failures)} failed"
        if self.seconds and self.num_left:
            mean = sum(self.seconds) / len(self.seconds)
            text += f", about {mean * self.num_left / self.jobs / 60:.0f} min left"
        return text

    def describe_failures(self) -> list[str]:
        """Each failed run with the tail of its log."""
        return [
            f"\nfailed   {task.name}, exit code {outcome.code}, {task.log}:\n{outcome.tail}"
            for task, outcome in self.failures.items()
        ]

    def _say(self, line: str) -> None:
        self._clear()
        print(line, flush=True)

    def _draw(self) -> None:
        """The table of what is running, in the place of the former one."""
        self._clear()
        lines = [f"-- {self.summary()} --"]
        for task, start in self.running.items():
            minutes = (time.monotonic() - start) / 60
            state = printable(_last_epoch(Path(task.log)))
            lines.append(f"{task.name:<44} {minutes:6.1f} min  {state}"[:_WIDTH])
        print("\n".join(lines), flush=True)
        self.num_drawn = len(lines)

    def _clear(self) -> None:
        if self.num_drawn:
            print(f"\x1b[{self.num_drawn}F\x1b[J", end="")
            self.num_drawn = 0


def _last_epoch(log: Path) -> str:
    """Of a log, the last line of an epoch; else its last line."""
    lines = read_tail(log, 8).splitlines()
    return next((line for line in reversed(lines) if line.startswith(_STATE)), (lines or [""])[-1])
