"""A kind whose reader has every fault that a campaign looks for: the input names it."""

import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz.kind import Kind
from utils.errors import UserError

HARMLESS = ("accept", "refuse", "end with 0", "end with 2", "warn in a line")
FAULTS = ("KeyError", "two lines", "end with 1", "print", "library", "warnings", "draft",
          "temporary file", "half-written")  # fmt: skip
LETHAL = ("hang", "sleep", "memory", "abort")


def do(folder: Path) -> None:
    """What the input says."""
    what = (folder / "in" / "what").read_text()
    (folder / "out").mkdir()
    if what == "refuse":
        raise UserError("a line\nof its own")
    if what.startswith("end with "):
        sys.exit(int(what[-1]))
    if what == "KeyError":
        raise KeyError(what)
    if what == "two lines":
        raise UserError("one", "two")
    if what == "warn in a line":
        print("warning: a line", file=sys.stderr)
    if what == "print":
        print("a word", file=sys.stderr)
    if what == "library":
        os.write(2, b"libpng error: a word\n")
    if what == "warnings":
        warnings.warn("a word", RuntimeWarning, stacklevel=1)
    if what == "draft":
        (folder / "out" / ".7.abc.mask.png").touch()
    if what == "temporary file":
        tempfile.mkstemp()
    if what == "half-written":
        (folder / "out" / "mask.png").touch()
        raise UserError("too late")
    _die(what)


def _die(what: str) -> None:
    while what == "hang":
        pass
    if what == "sleep":
        time.sleep(600)
    if what == "memory":
        bytearray(8 << 30)
    if what == "abort":
        os.abort()


def _kind(names: tuple[str, ...]) -> Kind:
    return Kind(st.sampled_from(names).map(lambda name: {"what": name.encode()}), do)


FAULTY = _kind(FAULTS)
DEADLY = _kind((*LETHAL, "accept"))
