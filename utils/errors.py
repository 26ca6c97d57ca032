"""How a run can end other than by its own end, and the one clear line for each of these ends."""

import difflib
import errno
from collections.abc import Iterable
from pathlib import Path

from utils.messages import printable

_MEMORY = (
    "memory ran out; raise training.accumulation_steps, set training.activation_checkpointing or "
    "training.precision=bf16, or lower data.image_size"
)
_WORKER = (
    "a loader process died: killed, or out of memory or shared memory; lower data.num_workers, or "
    "set it to 0 to see an error of the data itself"
)
_SHARED_MEMORY = (
    "shared memory (/dev/shm) is too small for the batches of the loader processes; set "
    "data.num_workers to 0, lower training.batch_size or data.image_size, or give the container "
    "more (docker run --shm-size)"
)
_LOST = "another process of the job is gone or does not answer; its own message tells why"
_COMPILER = "training.compile: {}; mend that, or set it to false"
# How gloo, NCCL and the store between the processes speak of one that is gone.
_SIGNS_OF_LOSS = ("gloo", "nccl", "connection", "store", "timed out", "broken pipe", "peer")

_GONE = "its folder is not there: was it removed or renamed meanwhile?"
_NO_RIGHT = "get the right to write there, or choose another folder"
_ADVICE = {
    errno.ENAMETOOLONG: "shorten its name",
    errno.ENOENT: _GONE,
    errno.ENOTDIR: _GONE,
    errno.ESTALE: _GONE,
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.EROFS: _NO_RIGHT,
}


class UserError(ValueError):
    """A mistake in the input: one clear line for the user, exit code 2, never a traceback.

    The message names the file or the configuration key and says what to do about it. Names and
    values out of files are part of it: what is in them that would break the line, or steer a
    terminal, is escaped.

    Args:
        lines: The line, and what is to stand below it, if it is long.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)

    def __str__(self) -> str:
        return "\n".join(printable(str(line)) for line in self.args)


class NonFiniteError(UserError):
    """A loss, a gradient or a prediction that is not finite; the weights are left as they were."""


class MachineError(RuntimeError):
    """The machine let the run down: one clear line, exit code 1.

    A process that was killed, memory that ran out. What the run has saved is whole.
    """


class Interrupted(Exception):  # noqa: N818 - a request that was met, no error
    """The run was asked to stop, and did so cleanly: exit code 128 + signal, as a shell has it."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:
        """130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signal_number


def explain(error: BaseException, folder: Path, num_processes: int) -> BaseException:
    """The error to show for one that a training run met; the same where it speaks for itself.

    Args:
        error: What was raised.
        folder: The run's, for a file that cannot be written and has no name.
        num_processes: Of the job.
    """
    text = str(error)
    # By name: torch takes a second to import, and not every command needs it.
    is_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if isinstance(error, UserError):
        return _unwrapped(error)
    if isinstance(error, OSError) and not isinstance(error, ConnectionError):
        return UserError(
            f"{error.filename or folder}: cannot be written ({error.strerror or text}); "
            f"{advise(error)}"
        )
    if is_memory or "can't allocate memory" in text:
        return MachineError(_MEMORY)
    if isinstance(error, ConnectionError | EOFError):  # of a pipe from a loader process
        return MachineError(_WORKER)
    if not isinstance(error, RuntimeError):
        return error
    if ("shared memory" in text and "No space left" in text) or "Bus error" in text:
        return MachineError(_SHARED_MEMORY)
    if "DataLoader worker" in text and ("exited unexpectedly" in text or "is killed by" in text):
        return MachineError(_WORKER)
    if type(error).__module__.startswith(("torch._inductor", "torch._dynamo")):
        return UserError(_COMPILER.format(text.strip().splitlines()[0]))
    if num_processes > 1 and any(sign in text.lower() for sign in _SIGNS_OF_LOSS):
        return MachineError(_LOST)
    return error


def advise(error: BaseException) -> str:
    """What to do about a file that cannot be written."""
    return _ADVICE.get(getattr(error, "errno", None), "make room on the disk")


def _unwrapped(error: UserError) -> UserError:
    """A loader process's error without the traceback that the DataLoader puts into its message."""
    text = str(error.args[0]) if error.args else ""
    if "Original Traceback" not in text:
        return error
    return UserError(text.rstrip().splitlines()[-1].partition("UserError: ")[2])


def suggestion(name: str, known: Iterable[str]) -> str:
    """', did you mean X?' for the nearest known name, or '' where none is near."""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f", did you mean {nearest[0]}?" if nearest else ""
