"""SIGTERM and SIGINT: a run that is asked to stop loses nothing."""

import random
import signal
import time
from collections.abc import Iterator

from tests.faults.bench import Bench
from tests.faults.outcome import Outcome, finish, unclean


def stop_in_training(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """A signal after a random step: one line, exit code 128 + signal, no step done twice."""
    reference = bench.reference()
    for index in range(count):
        run = bench.run(data__num_workers=index % 3, checkpoint__every_steps="null")
        session = run.start_and_reach(dice.randrange(1, bench.num_steps - 5))
        time.sleep(dice.uniform(0, 0.1))
        number = (signal.SIGTERM, signal.SIGINT)[index % 2]
        session.hit(number, whole_group=index % 4 < 2)
        problems = unclean(session.wait(), 128 + number, f"stopped by {number.name}")
        outcome = finish("SIGTERM, SIGINT in training", run, reference, number.name, problems)
        if outcome.steps_twice:
            outcome.problems.append(f"{outcome.steps_twice} steps done twice")
        yield outcome


def stop_at_start(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """A signal before training has begun: the process ends, and the run can be started again.

    Python itself prints a traceback where SIGINT meets the import of a package; that is counted
    in the last column and taken for no failure.
    """
    reference = bench.reference()
    for index in range(count):
        run = bench.run()
        session = run.start()
        time.sleep(dice.uniform(0.1, 0.6 * bench.seconds))
        number = (signal.SIGTERM, signal.SIGINT)[index % 2]
        session.hit(number, whole_group=True)
        ending = session.wait()
        allowed = (
            (-number, 128 + number, 1) if "Traceback" in ending.err else (-number, 128 + number)
        )
        problems = [] if ending.code in allowed else [f"exit code {ending.code}"]
        hit = f"{number.name}{' with a traceback' if 'Traceback' in ending.err else ''}"
        yield finish("SIGTERM, SIGINT at the start", run, reference, hit, problems)
