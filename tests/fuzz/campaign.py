"""Give the product's readers and commands inputs that were spoilt in every way.

An input is taken, or refused by UserError: one line, no traceback, nothing left behind, not a word
of a library on stderr, 10 s of CPU time and 2 GiB of memory at the most. CPU time rather than time
on the clock, as the machine may have other work.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.batches import BATCH, Batch
from tests.fuzz.crew import Member, run
from tests.fuzz.kind import KINDS
from tests.fuzz.trial import ACCEPTED, FAILED, REFUSED, Verdict
from tests.fuzz.worker import Limits

_LIMITS = Limits()
_HEADS = ("kind", "inputs", ACCEPTED, REFUSED, "failures", "slowest, s of CPU")


@dataclass
class Tally:
    """What became of the inputs of a kind; seconds is CPU time."""

    accepted: int = 0
    refused: int = 0
    failed: int = 0
    slowest: float = 0.0
    seconds: float = 0.0
    batches: int = 0

    @property
    def inputs(self) -> int:
        return self.accepted + self.refused + self.failed

    def add(self, verdict: Verdict) -> None:
        """Count an input."""
        setattr(self, verdict.outcome, getattr(self, verdict.outcome) + 1)
        self.slowest = max(self.slowest, verdict.seconds)
        self.seconds += verdict.seconds


def campaign(
    kinds: Sequence[str],
    seed: int,
    out: Path,
    *,
    has_time: Callable[[dict[str, Tally]], bool],
    num_processes: int = 2,
    limits: Limits = _LIMITS,
    only: int | None = None,
    per_batch: int = BATCH,
) -> dict[str, Tally]:
    """Try inputs of all kinds, each for the same share of the CPU time.

    Args:
        kinds: As Batch has them.
        seed: Of all inputs.
        out: Where failures are kept, a folder each.
        has_time: Whether another batch is to be begun, given the tallies by kind.
        num_processes: That try inputs.
        limits: Of an input.
        only: Index of the one input that is to be tried, of every kind.
        per_batch: How many of a batch are tried.

    Returns:
        By kind.
    """
    tallies = {kind: Tally() for kind in kinds}
    told: set[str] = set()

    def next_batch() -> Batch | None:
        if only is not None:
            return _only_batch(tallies, only)
        return _whole_batch(tallies, per_batch) if has_time(tallies) else None

    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        places = [Path(folder) / str(number) for number in range(num_processes)]
        members = [Member(place, out, seed, limits, list(kinds)) for place in places]
        try:
            for kind, verdict in run(members, next_batch):
                tallies[kind].add(verdict)
                if verdict.outcome == FAILED:
                    _tell(f"{kind}: {_summary(verdict.reason)}", told)
        finally:
            for member in members:
                member.end()
    return tallies


def _only_batch(tallies: dict[str, Tally], index: int) -> Batch | None:
    """The one input of a kind that was not tried yet."""
    left = [kind for kind, tally in tallies.items() if not tally.batches]
    if not left:
        return None
    tallies[left[0]].batches = 1
    return Batch(left[0], index // BATCH, index, index)


def _whole_batch(tallies: dict[str, Tally], per_batch: int) -> Batch:
    """The next batch of the kind that has had least time."""
    kind = min(tallies, key=lambda name: (tallies[name].seconds, tallies[name].batches))
    number = tallies[kind].batches
    tallies[kind].batches += 1
    return Batch.whole(kind, number, per_batch)


def _tell(line: str, told: set[str]) -> None:
    """Print a failure, once for all that differ in numbers alone."""
    if (sort := re.sub(r"\d+", "0", line)) not in told:
        print(line, flush=True)
    told.add(sort)


def _summary(reason: str) -> str:
    """What went wrong, and the exception or the line of a refusal."""
    lines = [line for line in reason.splitlines() if line.strip()]
    return " ... ".join(dict.fromkeys((lines[0][:150], lines[-1].rpartition("/in/")[2][:150])))


def table(tallies: dict[str, Tally]) -> str:
    """One row per kind, and the sum."""
    total = Tally()
    rows = [_HEADS, ("---",) + ("---:",) * (len(_HEADS) - 1)]
    for kind, tally in [*tallies.items(), ("all", total)]:
        rows.append((kind, *map(str, (tally.inputs, tally.accepted, tally.refused, tally.failed)),
                     f"{tally.slowest:.2f}"))  # fmt: skip
        for name in ("accepted", "refused", "failed"):
            setattr(total, name, getattr(total, name) + getattr(tally, name))
        total.slowest = max(total.slowest, tally.slowest)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> int:
    """Command line; 1 where an input failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="on the clock (default 10)")
    parser.add_argument(
        "--inputs", type=int, default=0, help="go on until so many were tried (default 0)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all inputs (default 0)")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND",
                        help=", ".join(KINDS))  # fmt: skip
    parser.add_argument("--index", type=int, help="try this input alone, of every kind of --only")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, help="folder for failures (default: a temporary one)")
    arguments = parser.parse_args()
    start = time.monotonic()
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes: they are as many as there is to do
    out = arguments.out or Path(tempfile.mkdtemp(prefix="fuzz_failures"))
    tallies = campaign(
        arguments.only,
        arguments.seed,
        out,
        has_time=lambda found: (
            time.monotonic() - start < 60 * arguments.minutes
            or sum(tally.inputs for tally in found.values()) < arguments.inputs
        ),
        num_processes=arguments.processes,
        only=arguments.index,
    )
    print(f"\n{table(tallies)}\nseed {arguments.seed}, {time.monotonic() - start:.0f} s")
    num_failed = sum(tally.failed for tally in tallies.values())
    if num_failed:
        print(f"failures, each with its traceback: {out}")
    elif not arguments.out:
        out.rmdir()
    return 1 if num_failed else 0


if __name__ == "__main__":
    sys.exit(main())
