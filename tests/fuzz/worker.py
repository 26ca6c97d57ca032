"""A process that tries inputs, batch by batch, and dies of those that hang or crash it."""

import faulthandler
import math
import resource
import signal
import tempfile
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from hypothesis.configuration import set_hypothesis_home_dir

from tests.fuzz.batches import each_input
from tests.fuzz.failures import Failure, save
from tests.fuzz.kind import KINDS, Files, find_kind
from tests.fuzz.trial import FAILED, Verdict, attempt


class Limits(NamedTuple):
    """What an input may take.

    Attributes:
        cpu_s: CPU time of the process: the time on the clock is that of a shared machine.
        silent_s: Time on the clock, after which a process that uses no CPU counts as hung.
        memory: Address space beyond what the process has before its first input, bytes.
    """

    cpu_s: int = 10
    silent_s: float = 120.0
    memory: int = 2 << 30


class Begun(NamedTuple):
    """An input is about to be tried."""

    index: int


class Tried(NamedTuple):
    """An input was tried."""

    index: int
    verdict: Verdict


class Done(NamedTuple):
    """A batch is at its end."""


class Broken(NamedTuple):
    """The campaign itself has a fault."""

    trace: str


def work(
    pipe: Connection, folder: Path, out: Path, seed: int, limits: Limits, kinds: list[str]
) -> None:
    """Try the batches that come through a pipe, until None comes.

    Args:
        pipe: Takes tests.fuzz.batches.Batch; gives Begun, Tried and Done, or Broken.
        folder: Of this process alone.
        out: Where failures are kept.
        seed: Of the campaign.
        limits: Beyond which the system ends the process.
        kinds: All of the campaign's, imported before the first input: what Hypothesis draws
            depends on the modules there are.
    """
    set_hypothesis_home_dir(folder / "hypothesis")
    tempfile.tempdir = str(folder)
    for kind in kinds:
        find_kind(KINDS.get(kind, kind))
    trace = trace_of(folder).open("w")
    _prepare(trace.fileno(), limits)

    def use(index: int, files: Files) -> None:
        pipe.send(Begun(index))
        _allow(limits.cpu_s)
        verdict = attempt(find_kind(KINDS.get(batch.kind, batch.kind)), files, folder / "input")
        if verdict.outcome == FAILED:
            save(out, Failure(batch.kind, seed, index, verdict.reason), folder / "input")
        pipe.send(Tried(index, verdict))

    try:
        while (batch := pipe.recv()) is not None:
            each_input(batch, seed, use)
            pipe.send(Done())
    except EOFError:  # the campaign was ended
        return
    except Exception:
        pipe.send(Broken(traceback.format_exc(limit=-8)))


def trace_of(folder: Path) -> Path:
    """Where a worker that dies writes what it was at."""
    return folder / "trace.txt"


def _prepare(trace: int, limits: Limits) -> None:
    """Have hangs and crashes end the process with a traceback, and bound its memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable(trace)  # crashes, and SIGABRT of the campaign
    faulthandler.register(signal.SIGXCPU, trace, chain=True)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + limits.memory, resource.RLIM_INFINITY))


def _allow(cpu_s: int) -> None:
    """So many seconds of CPU time from now on; the system counts whole ones."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    end = math.ceil(used.ru_utime + used.ru_stime) + cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))
