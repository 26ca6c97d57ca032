"""What this machine cannot measure, as a note in its row."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

# What a step raises that this machine or its compiler cannot take.
MACHINE_ERRORS = (RuntimeError, MemoryError)


@contextmanager
def noting_failure(row: dict[str, Any]) -> Iterator[None]:
    """Let a measurement that fails leave a note in its row, and the others alone."""
    try:
        yield
    except MACHINE_ERRORS as error:
        row["note"] = describe_failure(error)


def describe_failure(error: Exception) -> str:
    """Why there is nothing to measure, in a few words."""
    text = str(error).strip()
    is_memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
    if is_memory or "can't allocate memory" in text:
        return "out of memory"
    return text.splitlines()[0] if text else type(error).__name__
