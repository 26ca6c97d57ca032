"""What became of runs that were hit, and the table of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.faults.bench import Ending, Run
from tests.faults.comparison import differences

_HEAD = [
    "fault",
    "runs",
    "ended well",
    "steps done twice (most in a run)",
    "epochs done twice",
    "wrong results",
    "what was hit",
]


@dataclass
class Outcome:
    """One faulty run.

    Attributes:
        fault: The row of the table.
        problems: What went otherwise than promised: exit codes, messages, files left behind.
        differences: Where its results are not those of the uninterrupted run.
        steps_twice: Optimizer steps that had to be done again.
        epochs_twice: Epochs told of a second time.
        hit: What the fault met, for the table's last column.
    """

    fault: str
    problems: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    steps_twice: int = 0
    epochs_twice: int = 0
    hit: str = ""

    @property
    def is_good(self) -> bool:
        """Whether nothing at all is wrong."""
        return not self.problems and not self.differences


def finish(
    fault: str, run: Run, reference: Run, hit: str = "", problems: Sequence[str] = (), **how: Any
) -> Outcome:
    """Resume a run that was hit, to its end, and hold it against the uninterrupted one."""
    return judge(fault, run, reference, run.go_on(**how), hit, problems)


def judge(
    fault: str,
    run: Run,
    reference: Run,
    ending: Ending,
    hit: str = "",
    problems: Sequence[str] = (),
    max_gap: int = 0,
) -> Outcome:
    """Hold a run that should have come to its end against the uninterrupted one."""
    left = [path.name for path in run.path.glob(".*")]
    return Outcome(
        fault,
        [*problems, *unclean(ending, 0), *[f"left behind: {name}" for name in left]],
        differences(run, reference, max_gap),
        run.num_steps - reference.num_steps,
        run.num_epochs - reference.num_epochs,
        hit,
    )


def unclean(ending: Ending, code: int, *parts: str) -> list[str]:
    """What is wrong with a session's end.

    Args:
        ending: Of the session.
        code: The exit code that it should have.
        parts: What its last line on stderr should hold.
    """
    found = []
    if ending.code != code:
        found.append(f"exit code {ending.code} instead of {code}: {ending.err.strip()[-300:]}")
    if "Traceback" in ending.err:
        found.append(f"a traceback: {ending.err.strip()[-300:]}")
    last = (ending.err.strip().splitlines() or [""])[-1]
    found += [f"{part!r} is not in the last line: {last}" for part in parts if part not in last]
    if ending.err.count("error:") > 1:
        found.append(f"more than one error line: {ending.err.strip()[-300:]}")
    return found


def table(outcomes: Iterable[Outcome]) -> str:
    """One row per fault."""
    rows: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        rows.setdefault(outcome.fault, []).append(outcome)
    lines = [_HEAD, ["---"] * len(_HEAD), *(_row(fault, group) for fault, group in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(fault: str, group: list[Outcome]) -> list[str]:
    hits = Counter(outcome.hit for outcome in group if outcome.hit)
    steps = [outcome.steps_twice for outcome in group]
    return [
        fault,
        str(len(group)),
        str(sum(not outcome.problems for outcome in group)),
        f"{sum(steps)} ({max(steps)})",
        str(sum(outcome.epochs_twice for outcome in group)),
        str(sum(bool(outcome.differences) for outcome in group)),
        ", ".join(f"{count} {hit}" for hit, count in hits.items()),
    ]


def records(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Plain values, one dict per run."""
    return [asdict(outcome) for outcome in outcomes]
