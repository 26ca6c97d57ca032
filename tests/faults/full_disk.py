"""A disk that fills up while a run writes to it."""

import os
import random
import resource
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.bench import Bench, Run
from tests.faults.comparison import read
from tests.faults.outcome import Outcome, finish, judge, unclean


def can_mount() -> bool:
    """Whether this user may mount a file system in memory."""
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(_mount_command(Path(folder), 1), capture_output=True).returncode != 0:
            return False
        subprocess.run(["umount", folder], check=True)
    return True


def fill_checkpoint_disk(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """The disk of the run folder fills up; room is made, and the run goes on."""
    for _ in range(count):
        run = bench.run()
        with _small_disk(run.base / "runs", kib=16 * 1024):
            session = run.start_and_reach(dice.randrange(1, bench.num_steps - 5))
            ballast = _fill(run.base / "runs", keep_kib=dice.randrange(0, 1400))
            problems = unclean(session.wait(), 2, str(run.path), "make room")
            yield _make_room_and_finish("disk full: run folder", run, bench, ballast, problems)


def fill_before_resume(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """The disk is full when the run is resumed: configuration and run_info.json meet it."""
    for _ in range(count):
        run = bench.run()
        with _small_disk(run.base / "runs", kib=16 * 1024):
            session = run.start_and_reach(dice.randrange(1, bench.num_steps - 5))
            session.hit(signal.SIGTERM)
            session.wait()
            kept = run.path.joinpath("config.yaml").read_bytes()
            ballast = _fill(run.base / "runs", keep_kib=0)
            problems = unclean(run.go_on(), 2, str(run.path), "make room")
            if run.path.joinpath("config.yaml").read_bytes() != kept:
                problems.append("config.yaml is spoilt")
            fault = "disk full: configuration and run_info.json"
            yield _make_room_and_finish(fault, run, bench, ballast, problems)


def fill_events_disk(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """Only the disk of TensorBoard's events is full; checkpoints must still be written."""
    for index in range(count):
        run = bench.run(checkpoint__every_steps=(1, "null")[index % 2])
        events = run.path / "tensorboard"
        with _small_disk(events, kib=64):
            session = run.start_and_reach(5 * dice.randrange(max(1, bench.epochs - 3)) + 1)
            ballast = _fill(events, keep_kib=0)
            problems = unclean(session.wait(), 2, str(run.path), "make room")
            ballast.unlink()
            # The epoch that could not be told of is kept all the same, and missing in the curves.
            ending, fault = run.go_on(), "disk full: events"
            yield judge(fault, run, bench.reference(), ending, problems=problems, max_gap=1)


def limit_file_size(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """No file may grow as long as last.pt any more: what a full disk is, without mounting one."""
    for _ in range(count):
        run = bench.run()
        session = run.start_and_reach(dice.randrange(1, bench.num_steps - 5))
        limit = dice.randrange(500_000, 1_300_000)
        resource.prlimit(session.pid, resource.RLIMIT_FSIZE, (limit, limit))
        problems = unclean(session.wait(), 2, str(run.last), "make room")
        problems += [] if read(run.last) else ["last.pt is not whole"]
        yield finish("file size limit", run, bench.reference(), "", problems)


def _make_room_and_finish(
    fault: str, run: Run, bench: Bench, ballast: Path, problems: list[str]
) -> Outcome:
    if run.last.exists() and not read(run.last):
        problems.append("last.pt is not whole")
    ballast.unlink()
    return finish(fault, run, bench.reference(), "", problems)


def _mount_command(folder: Path, kib: int) -> list[str]:
    return ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]


@contextmanager
def _small_disk(folder: Path, kib: int) -> Iterator[None]:
    """A file system of that size within the block."""
    folder.mkdir(parents=True)
    subprocess.run(_mount_command(folder, kib), check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(folder: Path, keep_kib: int) -> Path:
    """Take all room of a disk but so much; the file to remove when room is made again."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            size = stream.tell()
    os.truncate(ballast, max(0, size - 1024 * keep_kib))
    return ballast
