"""From what a library raises to one clear line."""

from pathlib import Path

import torch

from utils.errors import MachineError, UserError

_MEMORY = (
    "memory ran out; raise training.accumulation_steps, set training.activation_checkpointing or "
    "training.precision=bf16, or lower data.image_size"
)
_WORKER = (
    "a loader process died: killed, or out of memory or shared memory; lower data.num_workers, or "
    "set it to 0 to see an error of the data itself"
)
_LOST = "another process of the job is gone or does not answer; its own message tells why"
_COMPILER = "training.compile: {}; mend that, or set it to false"
# How gloo, NCCL and the store between the processes speak of one that is gone.
_SIGNS_OF_LOSS = ("gloo", "nccl", "connection", "store", "timed out", "broken pipe", "peer")


def explain(error: BaseException, folder: Path, num_processes: int) -> BaseException:
    """The error to show for one that a training run met; the same where it speaks for itself.

    Args:
        error: What was raised.
        folder: The run's, for a file that cannot be written and has no name.
        num_processes: Of the job.
    """
    text = str(error)
    if isinstance(error, UserError):
        return _unwrapped(error, text)
    if isinstance(error, OSError) and not isinstance(error, ConnectionError):
        return UserError(
            f"{error.filename or folder}: cannot be written ({error.strerror or text}); make room "
            "on the disk"
        )
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in text:
        return MachineError(_MEMORY)
    if isinstance(error, ConnectionError | EOFError):  # of a pipe from a loader process
        return MachineError(_WORKER)
    if not isinstance(error, RuntimeError):
        return error
    if "DataLoader worker" in text and ("exited unexpectedly" in text or "is killed by" in text):
        return MachineError(_WORKER)
    if type(error).__module__.startswith(("torch._inductor", "torch._dynamo")):
        return UserError(_COMPILER.format(text.strip().splitlines()[0]))
    if num_processes > 1 and any(sign in text.lower() for sign in _SIGNS_OF_LOSS):
        return MachineError(_LOST)
    return error


def _unwrapped(error: UserError, text: str) -> UserError:
    """A loader process's error without the traceback that the DataLoader puts into its message."""
    if "Original Traceback" not in text:
        return error
    return UserError(text.rstrip().splitlines()[-1].partition("UserError: ")[2])
