"""Checkpoint files: tensors and plain types only, written whole or not at all."""

import os
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from utils.errors import UserError

FORMAT = 1


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint under a temporary name, then rename it over the old one.

    Args:
        path: The file.
        content: Tensors and plain types, so that it loads with weights_only=True.

    Raises:
        UserError: The disk is full or read-only; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            torch.save({"format": FORMAT, **content}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); make room") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to CPU memory without running any code that it may hold.

    Raises:
        UserError: No such file, truncated or damaged, a pickle with code in it, or no checkpoint
            of this project.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint; train.py writes best.pt and last.pt")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of foreign pickle protocols: they are refused below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: refused, it holds more than tensors and plain values (or is no checkpoint)"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: truncated or damaged; take another copy of it") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path}: not a checkpoint of this project (format {FORMAT})")
    return content


def load_weights(model: nn.Module, state: Mapping[str, Any], path: Path) -> None:
    """Put a checkpoint's weights into a network, all of them.

    Raises:
        UserError: The weights are of another network.
    """
    own = model.state_dict()
    missing, surplus = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    other = [k for k in own.keys() & state.keys() if own[k].shape != state[k].shape]
    if missing or surplus or other:
        first = (missing or surplus or sorted(other))[0]
        raise UserError(
            f"{path}: weights of another network ({len(missing)} tensors missing, {len(surplus)} "
            f"unknown, {len(other)} of another shape, such as {first}); check model.name and args"
        )
    model.load_state_dict(dict(state))
