"""The grammar that all entry scripts share, and how they end."""

import argparse
import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from utils.config_loader import DEFAULT_CONFIG
from utils.errors import Interrupted, MachineError, UserError, explain

# The end of a job, and of the terminal or the ssh connection.
END_SIGNALS = tuple(getattr(signal, n) for n in ("SIGTERM", "SIGHUP") if hasattr(signal, n))
EXIT_MACHINE_ERROR = 1
EXIT_USER_ERROR = 2
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE, as a shell has it
_PATIENCE_S = 3
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one line."""

    def error(self, message: str) -> None:
        self.exit(EXIT_USER_ERROR, f"error: {message} (see {self.prog} --help)\n")


def create_parser(description: str, example: str) -> argparse.ArgumentParser:
    """A parser with an example at the end of its help."""
    return _Parser(
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_out_argument(parser: argparse.ArgumentParser, **options: Any) -> None:
    """--out; --output still does, and is told its name.

    Args:
        parser: Of any command.
        options: See argparse.ArgumentParser.add_argument.
    """
    options = {"type": Path} | options
    action = parser.add_argument("--out", "--output", action=_Out, **options)
    action.option_strings = ["--out"]  # the one that help and errors name


class _Out(argparse.Action):
    """Keeps the place."""

    def __call__(
        self, parser: argparse.ArgumentParser, arguments: argparse.Namespace, place: Path, name: str
    ) -> None:
        """Store it as --out."""
        if name == "--output":
            print("warning: --output is called --out", file=sys.stderr)
        setattr(arguments, self.dest, place)


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """--config, --experiment and --set."""
    parser.add_argument(
        "--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help="YAML with every key"
    )
    parser.add_argument(
        "--experiment",
        action="append",
        default=[],
        metavar="NAME",
        help="a file of resources/experiments, the keys that differ; repeat to combine",
    )
    add_set_argument(parser)


def add_set_argument(parser: argparse.ArgumentParser) -> None:
    """--set."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="change one key, such as training.epochs=50; repeat for more",
    )


def positive_int(text: str) -> int:
    """The type of an argument that counts something."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, not {text!r}")
    return int(text)


def run_main(main: Callable[[], None]) -> None:
    """Call main and end the process.

    Exit codes: 0; 1 where the machine let the run down; 2 for a user's mistake; 128 + signal after
    a stop on request (130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP).
    """
    former = {n: signal.signal(n, _leave) for n in END_SIGNALS if not is_ignored(n)}
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the code page lacks is escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        main()
        print(end="", flush=True)  # what a full disk or a closed pipe refuses shows here
    except UserError as error:
        _end(f"error: {error}", EXIT_USER_ERROR)
    except MachineError as error:
        _end(f"error: {error}", EXIT_MACHINE_ERROR)
    except Interrupted as stop:
        _end(str(stop), stop.exit_code)
    except BrokenPipeError:  # who read the output (head, less) has gone
        close_output()
        sys.exit(EXIT_BROKEN_PIPE)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        close_output()
        where = error.filename or "the output"
        _end(f"error: {where}: cannot be written ({error.strerror}); make room", EXIT_USER_ERROR)
    except KeyboardInterrupt:
        _end("interrupted", 128 + signal.SIGINT)
    except RuntimeError as error:  # another process may be lost before training begins, too
        explanation = explain(error, Path(), int(os.environ.get("WORLD_SIZE", "1")))
        if explanation is error:
            raise
        _end(f"error: {explanation}", EXIT_MACHINE_ERROR)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def is_ignored(number: int) -> bool:
    """Whether the process was started so that a signal does nothing: by nohup, for one."""
    return signal.getsignal(number) is signal.SIG_IGN


def close_output() -> None:
    """Send what is still printed nowhere: whoever read it has gone, or its disk is full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave(number: int, frame: FrameType | None) -> None:
    """End on SIGTERM and SIGHUP as on Ctrl-C; a training run asks for it in its own way."""
    raise Interrupted(number, f"stopped by {signal.Signals(number).name}")


def _end(line: str, exit_code: int) -> None:
    """Say why on stderr and leave.

    All processes of a job make the same mistake, and torchrun ends the others as soon as one is
    gone; so those that do not write wait a little before they speak. They leave without taking
    leave of each other, which could wait for ever for one that is gone.
    """
    rank, size = (int(os.environ.get(key, n)) for key, n in (("RANK", "0"), ("WORLD_SIZE", "1")))
    if rank > 0:
        time.sleep(_PATIENCE_S)
        line = f"process {rank}: {line}"
    with suppress(OSError):  # a terminal that has gone
        print(line, file=sys.stderr, flush=True)
        print(end="", flush=True)
    if size > 1:
        os._exit(exit_code)
    sys.exit(exit_code)
