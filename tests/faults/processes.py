"""Processes of a run that die: loader processes, one of two ranks."""

import os
import random
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.faults.bench import TORCHRUN, Bench, Run, Session
from tests.faults.outcome import Outcome, finish, judge, unclean

_END_S = 30


def children(pid: int) -> list[int]:
    """Child processes, oldest first; none where the process is gone."""
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:
        return []


def kill_loader_process(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """Kill a loader process after a random step; every second time while last.pt is written."""
    for index in range(count):
        run = bench.run(data__num_workers=2)
        session = run.start_and_reach(dice.randrange(1, bench.num_steps - 5))
        is_writing = partial(run.has_draft, session.pid, "last.pt")
        if index % 2:
            session.wait_until(is_writing, pause_s=0)
        hit = "while it wrote" if is_writing() else "between the writes"
        os.kill(dice.choice(children(session.pid)), signal.SIGKILL)
        problems = unclean(session.wait(), 1, "error: a loader process died")
        yield finish("loader process killed", run, bench.reference(), hit, problems)


def kill_rank_and_restart(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """Kill one of two processes; torchrun starts both again, and the job ends by itself."""
    reference = bench.reference(TORCHRUN)
    for index in range(count):
        run = bench.run((*TORCHRUN, "--max-restarts=3"))
        session, hit = _start_and_kill_rank(run, dice, bench, index % 2)
        ending = session.wait()._replace(err="")  # torchrun tells of the failure at length
        yield judge("rank killed, --max-restarts", run, reference, ending, hit)


def kill_rank(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """Kill one of two processes: the job ends soon and says so; it can be resumed."""
    reference = bench.reference(TORCHRUN)
    for index in range(count):
        run = bench.run(TORCHRUN)
        session, hit = _start_and_kill_rank(run, dice, bench, index % 2)
        start = time.monotonic()
        ending = session.wait()
        seconds = time.monotonic() - start
        problems = [] if seconds < _END_S else [f"ended after {seconds:.0f} s"]
        problems += [] if ending.code == 1 else [f"exit code {ending.code}"]
        # Either the other process comes to speak, or torchrun names the signal.
        if not any(part in ending.err for part in ("is gone", "Signal 9 (SIGKILL)")):
            problems.append(f"no clear line: {ending.err[-300:]}")
        ending = run.go_on()._replace(err="")
        yield judge("rank killed", run, reference, ending, hit, problems)


def _start_and_kill_rank(
    run: Run, dice: random.Random, bench: Bench, rank: int
) -> tuple[Session, str]:
    session = run.start_and_reach(dice.randrange(2, bench.num_steps - 5))
    for pid in children(session.pid):
        if f"\0RANK={rank}\0" in Path(f"/proc/{pid}/environ").read_text():
            os.kill(pid, signal.SIGKILL)
            return session, f"rank {rank}"
    return session, "none"
