"""SIGKILL at random moments, within the write of a checkpoint, and between its two renames."""

import random
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.faults.bench import Bench, Run, Session
from tests.faults.outcome import Outcome, finish


def kill_at_random(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """Kill at a moment of the process's life, start-up included; every second time the group."""
    reference = bench.reference()
    for index in range(count):
        run = bench.run(data__num_workers=index % 3)
        session = run.start()
        time.sleep(dice.uniform(0, bench.seconds))
        yield _kill_and_finish(
            "SIGKILL at a random moment", run, reference, session, index % 2 == 0
        )


def kill_in_training(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """Kill after a random step and a random part of a step."""
    reference = bench.reference()
    for index in range(count):
        run = bench.run(data__num_workers=index % 3)
        session = run.start_and_reach(dice.randrange(1, bench.num_steps))
        time.sleep(dice.uniform(0, 0.1))
        yield _kill_and_finish("SIGKILL while it trains", run, reference, session, index % 2 == 0)


def kill_within_write(
    bench: Bench, dice: random.Random, count: int, name: str = "last.pt"
) -> Iterator[Outcome]:
    """Kill while the temporary file of a checkpoint lies there."""
    reference = bench.reference()
    for index in range(count):
        run = bench.run(data__num_workers=index % 3)
        # best.pt is sure to be written after the first epoch alone.
        num_steps = dice.randrange(1, bench.num_steps) if name == "last.pt" else 5
        session = run.start_and_reach(num_steps)
        is_writing = partial(run.has_draft, session.pid, name)
        session.wait_until(is_writing, pause_s=0)
        time.sleep(dice.choice((0, 0, 0.001, 0.003)))
        session.hit(signal.SIGKILL, whole_group=index % 2 == 0)
        session.wait()
        inside = "within the write" if is_writing() else "beside it"
        yield finish(f"SIGKILL within a write of {name}", run, reference, inside)


def kill_between_renames(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """Kill when last.pt has become last.previous.pt as well and the new one has no name yet."""
    reference = bench.reference()
    for index in range(count):
        run = bench.run(data__num_workers=index % 3)
        session = run.start_and_reach(dice.randrange(2, bench.num_steps))
        is_between = partial(_is_between_renames, run, session.pid)
        session.wait_until(is_between, pause_s=0)
        session.hit(signal.SIGKILL)
        session.wait()
        hit = "between the renames" if is_between() else "beside them"
        yield finish("SIGKILL between last.previous.pt and last.pt", run, reference, hit)


def kill_after_epoch(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """Kill as soon as an epoch is saved: its points in the curves must be kept by then as well."""
    reference = bench.reference()
    for index in range(count):
        run = bench.run(data__num_workers=index % 3, checkpoint__every_steps="null")
        session = run.start_and_reach(5 * dice.randrange(1, bench.epochs))
        saved = _inode(run.last)
        session.wait_until(lambda run=run, saved=saved: _inode(run.last) != saved, pause_s=0)
        yield _kill_and_finish("SIGKILL right after an epoch", run, reference, session, True)


def _inode(path: Path) -> int:
    """Which file has the name; 0 for none."""
    return path.stat().st_ino if path.exists() else 0


def _is_between_renames(run: Run, pid: int) -> bool:
    """Whether last.pt has a second name, or has just got the link that becomes it."""
    previous = run.path / "last.previous.pt"
    if run.has_draft(pid, previous.name):
        return True
    try:
        return run.last.samefile(previous)
    except OSError:
        return False


def _kill_and_finish(
    fault: str, run: Run, reference: Run, session: Session, whole_group: bool
) -> Outcome:
    num_steps = run.num_steps
    session.hit(signal.SIGKILL, whole_group)
    code = session.wait().code
    if code == 0:
        hit = "too late"
    elif not run.is_kept:
        hit = "before the first checkpoint"
    else:
        hit = "in training"
    problems = [] if code in (0, -signal.SIGKILL) else [f"exit code {code} before {num_steps}"]
    return finish(fault, run, reference, hit, problems)
