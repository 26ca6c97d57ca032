"""Hit training runs in every way that a machine knows, and see whether they still end the same.

Every run is a subprocess of train.py on a small data set; it is hit, resumed until it ends, and
held against an uninterrupted run: every tensor and value of last.pt and best.pt bit for bit, and
every TensorBoard curve. Faults that need rights which this user lacks are left out, and named.
"""

import argparse
import csv
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.faults import (
    damage,
    full_disk,
    kills,
    not_finite,
    procedures,
    processes,
    stops,
    surroundings,
)
from tests.faults.bench import Bench
from tests.faults.outcome import Outcome, records, table

GROUPS = (
    *("kills", "stops", "disk", "damage"),
    *("processes", "not_finite", "procedures", "surroundings"),
)


def run_group(name: str, bench: Bench, dice: random.Random, num_kills: int) -> Iterator[Outcome]:
    """All faults of a group."""
    if name == "kills":
        num_inside = max(8, num_kills // 3)
        yield from kills.kill_within_write(bench, dice, num_inside)
        yield from kills.kill_within_write(bench, dice, 3, "best.pt")
        yield from kills.kill_between_renames(bench, dice, 4)
        yield from kills.kill_after_epoch(bench, dice, 3)
        num_left = max(2, num_kills - num_inside - 10)
        yield from kills.kill_at_random(bench, dice, num_left // 2)
        yield from kills.kill_in_training(bench, dice, num_left - num_left // 2)
    elif name == "stops":
        yield from stops.stop_in_training(bench, dice, 10)
        yield from stops.stop_at_start(bench, dice, 4)
    elif name == "disk":
        yield from full_disk.limit_file_size(bench, dice, 2)
        if full_disk.can_mount():
            yield from full_disk.fill_checkpoint_disk(bench, dice, 4)
            yield from full_disk.fill_before_resume(bench, dice, 2)
            yield from full_disk.fill_events_disk(bench, dice, 4)
        else:
            print("left out, mounting is not permitted: small disks")
    elif name == "damage":
        yield from _damage(bench, dice)
    elif name == "processes":
        yield from processes.kill_loader_process(bench, dice, 6)
        yield from processes.kill_rank_and_restart(bench, dice, 2)
        yield from processes.kill_rank(bench, dice, 2)
    elif name == "not_finite":
        yield from not_finite.resume_with_nan(bench, dice, 2)
        yield from not_finite.overflow(bench, dice, 2)
    elif name == "procedures":
        yield from procedures.kill_procedures(bench, dice, 4)
    else:
        yield from _surroundings(bench, dice)


def _damage(bench: Bench, dice: random.Random) -> Iterator[Outcome]:
    small = bench.folder / "small.pt"
    damage.write_small_checkpoint(small)
    yield from damage.flip_bytes(small, range(small.stat().st_size), dice)
    last = damage.stop_in_the_middle(bench, dice).last
    size = last.stat().st_size
    yield from damage.flip_bytes(last, (dice.randrange(size) for _ in range(60)), dice)
    yield from damage.cut_file(last, [0, size - 1, *(dice.randrange(size) for _ in range(18))])
    yield from damage.resume_damaged(bench, dice, 4)
    yield from damage.resume_both_damaged(bench, dice)


def _surroundings(bench: Bench, dice: random.Random) -> Iterator[Outcome]:
    yield from surroundings.change_clock_and_language(bench, dice, 2)
    if surroundings.has_faketime():
        yield from surroundings.set_clock(bench, dice, 2)
    else:
        print("left out, faketime is not installed: the clock by libfaketime")
    if full_disk.can_mount():
        yield from surroundings.freeze_data_folder(bench, dice, 2)
    else:
        print("left out, mounting is not permitted: a read-only data folder")
    yield from surroundings.remove_data_file(bench, dice, 3)


def watched(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """The outcomes, with a line for each that is not good."""
    for outcome in outcomes:
        for text in (*outcome.problems, *outcome.differences[:3]):
            print(f"{outcome.fault} ({outcome.hit}): {text}", flush=True)
        yield outcome


def write_outcomes(path: Path, outcomes: list[Outcome]) -> None:
    """One record per run, as JSON or CSV by the file's suffix."""
    rows = records(outcomes)
    if path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        return
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def main() -> int:
    """Command line; 1 where a run did not end well or ended with another result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="runs that get a SIGKILL")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and places")
    parser.add_argument("--out", type=Path, help="a .json or .csv file with a record per run")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=GROUPS, help="kinds of faults")
    arguments = parser.parse_args()
    start = time.monotonic()
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="faults") as folder:
        bench = Bench(Path(folder))
        for name in arguments.only:
            dice = random.Random(f"{arguments.seed} {name}")
            outcomes += watched(run_group(name, bench, dice, arguments.kills))
            print(f"{name}: done after {time.monotonic() - start:.0f} s", flush=True)
    if arguments.out:
        write_outcomes(arguments.out, outcomes)
    print(f"\n{table(outcomes)}\nseed {arguments.seed}, {time.monotonic() - start:.0f} s")
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
