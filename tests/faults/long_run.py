"""Train long enough for a leak to show: memory, open files, processes, threads, shared memory.

train.py runs as one subprocess with loader processes, validation, checkpoints and pictures, and is
looked at from outside once a second. What grows is judged by the least of the first and the last
quarter of the looks after the warm-up: what comes and goes within an epoch does not count.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.faults.bench import Bench, Run, Session
from tests.faults.processes import children

_WARM_UP = 200  # steps
# Two looks at the same healthy process differ by so much: what an allocator keeps back.
_MAX_SLOPE = 4096.0
_COUNTED = ("open_files", "processes", "threads", "shared_memory")


class Look(NamedTuple):
    """One look at a training process.

    Attributes:
        step: Optimizer steps done.
        memory_kib: Resident memory of the process; shared pages count.
        workers_kib: The same, summed over its loader processes.
        open_files: File descriptors.
        processes: Children.
        threads: Of the process.
        shared_memory: POSIX shared memory that it has mapped.
    """

    step: int
    memory_kib: int
    workers_kib: int
    open_files: int
    processes: int
    threads: int
    shared_memory: int


def look_at(session: Session, run: Run) -> Look | None:
    """The state of a process now; None where it is gone."""
    try:
        workers = children(session.pid)
        process = Path("/proc") / str(session.pid)
        return Look(
            run.num_steps,
            _resident_kib(session.pid),
            sum(_resident_kib(pid) for pid in workers),
            len(list(process.joinpath("fd").iterdir())),
            len(workers),
            len(list(process.joinpath("task").iterdir())),
            process.joinpath("maps").read_text().count(" /dev/shm/"),
        )
    except OSError:
        return None


def _resident_kib(pid: int) -> int:
    """Resident memory; a zombie has none."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def watch(run: Run, num_steps: int, pause_s: float = 1.0) -> tuple[int | None, list[Look]]:
    """Exit code of a whole run, and the looks at it between the warm-up and the last epoch."""
    session = run.start()
    looks = []
    while not session.is_over:
        look = look_at(session, run)
        if look is not None and _WARM_UP <= look.step <= num_steps - 5:
            looks.append(look)
        time.sleep(pause_s)
    return session.wait().code, looks


def slope(looks: Sequence[Look], key: str) -> float:
    """Least-squares growth per 1,000 steps."""
    values = [getattr(look, key) for look in looks]
    return 1000 * float(np.polyfit([look.step for look in looks], values, 1)[0])


def grown(looks: Sequence[Look], max_slope: float = _MAX_SLOPE) -> list[str]:
    """What grows; empty where nothing leaks."""
    first, last = _quarters(looks)
    found = [
        f"{key}: {getattr(first, key)} to {getattr(last, key)}"
        for key in _COUNTED
        if getattr(last, key) > getattr(first, key)
    ]
    for key in ("memory_kib", "workers_kib"):
        if slope(looks, key) > max_slope:
            found.append(f"{key}: {slope(looks, key):.0f} KiB per 1,000 steps")
    return found


def report(looks: Sequence[Look]) -> str:
    """Start, end and slope of every figure."""
    first, last = _quarters(looks)
    lines = ["| | start | end | per 1,000 steps |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| {key} | {getattr(first, key):,} | {getattr(last, key):,} | {slope(looks, key):+,.1f} |"
        for key in Look._fields[1:]
    ]
    return "\n".join(lines)


def _quarters(looks: Sequence[Look]) -> tuple[Look, Look]:
    """The least of each figure in the first and in the last quarter."""
    size = max(1, len(looks) // 4)
    first, last = (
        Look(*map(min, zip(*part, strict=True))) for part in (looks[:size], looks[-size:])
    )
    return first, last


def create_long_run(folder: Path, num_steps: int) -> Run:
    """A run of about so many steps with everything that a run does in between."""
    bench = Bench(folder, epochs=-(-num_steps // 5))
    return bench.run(data__num_workers=2, checkpoint__every_steps=3, logging__image_every=10)


def main() -> int:
    """Command line; 1 where something grows or the run fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000, help=f"at least {_WARM_UP + 200}")
    parser.add_argument(
        "--max-slope", type=float, default=_MAX_SLOPE, help="KiB of memory per 1,000 steps"
    )
    arguments = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="long_run") as folder:
        code, looks = watch(create_long_run(Path(folder), arguments.steps), arguments.steps)
    if code != 0 or len(looks) < 8:
        print(f"exit code {code} after {len(looks)} looks")
        return 1
    found = grown(looks, arguments.max_slope)
    print(f"{report(looks)}\n{arguments.steps} steps, {len(looks)} looks after the first "
          f"{_WARM_UP} steps, {time.monotonic() - start:.0f} s; bound {arguments.max_slope:,.0f} "
          "KiB per 1,000 steps")  # fmt: skip
    print("\n".join(f"grows: {line}" for line in found) or "nothing grows")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
