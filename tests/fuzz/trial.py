"""One input given to the product, under watch."""

import contextlib
import os
import re
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.kind import Files, Kind
from utils.errors import UserError

ACCEPTED, REFUSED, FAILED = "accepted", "refused", "failed"
# What a command says of its own accord; anything else on stderr is a library's.
_OWN_LINE = re.compile(r"(warning|note|error|failed): |problem  |note     ")
_SHOWN = 2000


class Verdict(NamedTuple):
    """What became of an input.

    Attributes:
        outcome: ACCEPTED, REFUSED or FAILED.
        seconds: CPU time that it took.
        reason: The line of a refusal, or what went wrong, with the traceback.
    """

    outcome: str
    seconds: float
    reason: str = ""


def attempt(kind: Kind, files: Files, folder: Path) -> Verdict:
    """Write the files below <folder>/in, and see how the product takes them.

    Args:
        kind: Of the files.
        files: Spoilt ones.
        folder: Emptied first; the product's temporary files go there as well.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "tmp").mkdir(parents=True)
    for name, data in files.items():
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).write_bytes(data)
    former, tempfile.tempdir = tempfile.tempdir, str(folder / "tmp")
    start = _cpu_seconds()
    try:
        with _captured() as said:
            outcome, problems, reason = _outcome(kind, folder)
    finally:
        tempfile.tempdir = former
    seconds = _cpu_seconds() - start
    problems += _leftovers(folder, outcome) + _noise(said[0])
    if problems:
        return Verdict(FAILED, seconds, "\n".join([*problems, reason]))
    return Verdict(outcome, seconds, reason)


def _outcome(kind: Kind, folder: Path) -> tuple[str, list[str], str]:
    """How the reading ended, what is wrong with that, and the reason of a refusal."""
    try:
        kind.read(folder)
    except UserError as error:
        return REFUSED, _bad_line(str(error)), str(error)
    except SystemExit as end:
        if end.code in (None, 0):
            return ACCEPTED, [], ""
        wrong = [] if end.code == 2 else [f"exit code {end.code}"]
        return REFUSED, wrong, ""
    except BaseException:
        return FAILED, ["neither success nor UserError"], traceback.format_exc()
    return ACCEPTED, [], ""


def _bad_line(line: str) -> list[str]:
    """What is wrong with a message: it must be one line on any terminal."""
    is_line = len(line.splitlines()) == 1 and line.strip()
    return [] if is_line else [f"not one line: {line!r}"]


def _noise(said: str) -> list[str]:
    """What a library printed, and what is no line of a command."""
    lines = said.splitlines()
    foreign = [line for line in lines if line.strip() and not _OWN_LINE.match(line)]
    found = [f"printed to stderr: {chr(10).join(foreign)[:_SHOWN]}"] if foreign else []
    if sum(line.startswith("error: ") for line in lines) > 1:
        found.append(f"more than one error: {lines}")
    return found


def _leftovers(folder: Path, outcome: str) -> list[str]:
    """Temporary files and drafts; after a refusal, anything that was written."""
    left = [*(folder / "tmp").rglob("*"), *folder.rglob(".*")]
    if outcome == REFUSED:
        left += (folder / "out").rglob("*")
    return [f"left behind: {path.relative_to(folder)}" for path in left]


@contextlib.contextmanager
def _captured() -> Iterator[list[str]]:
    """Take what is printed, by Python and by libraries, and have every warning printed.

    The list gets what came to stderr once that is known.
    """
    said: list[str] = []
    kept = [os.dup(number) for number in (1, 2)]
    with open(os.devnull, "wb") as out, os.fdopen(os.memfd_create("stderr"), "w+b") as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        try:
            with (
                open(1, "w", closefd=False, errors="backslashreplace") as own_out,
                open(2, "w", closefd=False, errors="backslashreplace") as own_err,
                contextlib.redirect_stdout(own_out),
                contextlib.redirect_stderr(own_err),
                warnings.catch_warnings(),
            ):
                for category in (UserWarning, RuntimeWarning, FutureWarning):
                    warnings.simplefilter("always", category)
                warnings.showwarning = _show_warning
                yield said
        finally:
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            err.seek(0)
            said.append(err.read().decode(errors="replace"))


def _show_warning(
    message: Warning | str, category: type[Warning], name: str, line: int, *_
) -> None:
    print(f"{name}:{line}: {category.__name__}: {message}", file=sys.stderr)


def _cpu_seconds() -> float:
    """CPU time of this process and its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
