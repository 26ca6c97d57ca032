"""Checkpoint files cut short and with a wrong byte."""

import contextlib
import io
import random
import shutil
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from tests.faults.bench import STEPS_PER_EPOCH, Bench, Run
from tests.faults.comparison import read, unequal
from tests.faults.outcome import Outcome, finish, unclean
from training.checkpoint import load_checkpoint, load_latest_checkpoint, save_checkpoint
from utils.errors import UserError


def cut_file(last: Path, offsets: Iterable[int]) -> Iterator[Outcome]:
    """Cut last.pt at each offset: the one before it is read instead, with one line."""
    whole, previous = last.read_bytes(), read(last.with_name("last.previous.pt"))
    for offset in offsets:
        last.write_bytes(whole[:offset])
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            content = load_latest_checkpoint(last)
        lines = said.getvalue().splitlines()
        is_told = len(lines) == 1 and lines[0].startswith(f"warning: {last}")
        yield Outcome(
            "last.pt cut short, loaded",
            [] if is_told else [f"said {said.getvalue()!r} at offset {offset}"],
            list(unequal(content, previous)),
        )
    last.write_bytes(whole)


def flip_bytes(path: Path, offsets: Iterable[int], dice: random.Random) -> Iterator[Outcome]:
    """Change one byte at each offset: refused, or the content is the same to the bit."""
    whole, content = path.read_bytes(), load_checkpoint(path)
    for offset in offsets:
        damaged = bytearray(whole)
        damaged[offset] ^= dice.randrange(1, 256)
        path.write_bytes(damaged)
        fault = f"one byte changed, loaded ({len(whole):,} bytes)"
        try:
            places = list(unequal(load_checkpoint(path), content))
        except UserError:
            yield Outcome(fault, hit="refused")
            continue
        found = [f"offset {offset}: {place}" for place in places]
        yield Outcome(fault, differences=found, hit="wrong" if places else "harmless")
    path.write_bytes(whole)


def write_small_checkpoint(path: Path) -> None:
    """A checkpoint of every kind of content in a few KiB."""
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    content = {"model": layer.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    save_checkpoint(path, content | {"record": {"sums": {"total": 0.1}}, "random": None})


def stop_in_the_middle(bench: Bench, dice: random.Random) -> Run:
    """A run that was asked to stop before the last step of an epoch, with both last.pt."""
    while True:
        run = bench.run()
        session = run.start_and_reach(dice.randrange(3, bench.num_steps - 3))
        session.hit(signal.SIGTERM)
        session.wait()
        if read(run.last)["step"] < STEPS_PER_EPOCH:
            return run


def resume_damaged(bench: Bench, dice: random.Random, count: int) -> Iterator[Outcome]:
    """Whole resumes from a last.pt that was cut, or has a wrong byte within a tensor."""
    for index in range(count):
        run = stop_in_the_middle(bench, dice)
        whole = run.last.read_bytes()
        offset = dice.randrange(len(whole) // 2)
        damaged = bytearray(whole[:offset] if index % 2 else whole)
        if not index % 2:
            damaged[offset] ^= 255
        run.last.write_bytes(damaged)
        ending = run.go_on()
        hit = "cut short" if index % 2 else "one byte changed"
        problems = unclean(ending, 0)
        if f"warning: {run.last}" not in ending.out and not index % 2:
            hit += ", harmless"
        elif ending.out.count("warning: ") != 1:
            problems.append(f"said {ending.out!r}")
        yield finish("last.pt damaged, resumed", run, bench.reference(), hit, problems)


def resume_both_damaged(bench: Bench, dice: random.Random) -> Iterator[Outcome]:
    """Nothing is left to go on from: exit code 2; a copy put back goes on."""
    run = stop_in_the_middle(bench, dice)
    kept = run.base / "kept.pt"
    shutil.copy(run.last, kept)
    for path in (run.last, run.path / "last.previous.pt"):
        path.write_bytes(path.read_bytes()[: dice.randrange(100_000)])
    problems = unclean(run.go_on(), 2, str(run.last))
    shutil.copy(kept, run.last)
    yield finish("last.pt and last.previous.pt damaged", run, bench.reference(), "", problems)
