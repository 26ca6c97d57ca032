"""SIGKILL in runs that learn from slices without labels, within a stage, a round, and between."""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults.bench import Bench, Run
from tests.faults.comparison import differences
from tests.faults.outcome import Outcome, unclean
from tests.semi_data import PROCEDURES, write_pool


class StagedRun(Run):
    """A run whose stages are runs in folders of its own."""

    @property
    def is_kept(self) -> bool:
        """Whether some stage can go on."""
        return any(self.path.rglob("last*.pt"))


def kill_procedures(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """Kill a run of each procedure so many times before its end; hold it against one that was not.

    Args:
        bench: Gets a pool of slices.
        dice: Of the moments.
        count: SIGKILLs of each run.
    """
    if not (bench.data / "hidden").exists():
        write_pool(bench.data)
    for name, settings in PROCEDURES.items():
        own = settings | {"training.deterministic": "true"}
        reference, run = (StagedRun(bench, f"{name}_{kind}", own) for kind in ("whole", "hit"))
        problems = unclean(reference.go_on(), 0)
        moments = sorted(dice.sample(range(1, reference.num_steps), count))
        for moment in moments:
            session = run.start_and_reach(moment)
            time.sleep(dice.uniform(0, 0.3))  # also into what happens between the steps
            session.hit(signal.SIGKILL)
            session.wait()
        problems += unclean(run.go_on(), 0)
        problems += [f"left behind: {path}" for path in run.path.rglob(".*")]
        found = [*differences(run, reference), *_other_files(run.path, reference.path)]
        twice = run.num_steps - reference.num_steps
        yield Outcome(f"SIGKILL in {name}", problems, found, twice, 0, f"at {moments}")


def _other_files(one: Path, two: Path) -> list[str]:
    """Pseudo labels and their tables that differ in a byte."""
    files = [p.relative_to(two) for kind in ("*.png", "labels.csv") for p in two.rglob(kind)]
    return [
        str(file)
        for file in files
        if not (one / file).is_file() or (one / file).read_bytes() != (two / file).read_bytes()
    ]
