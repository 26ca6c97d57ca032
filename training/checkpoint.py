"""Checkpoint files: tensors and plain types only, written whole or not at all."""

import contextlib
import os
import pickle
import signal
import threading
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, UnionType
from typing import Any

import torch
from torch import Tensor, nn

from datasets.stand_ins import describe_stand_in
from utils.errors import UserError
from utils.files import cannot_write, draft_of, whole_file

FORMAT = 2
_FOLDER = 0x10  # MS-DOS attribute in a zip archive's directory
_READABLE_FORMATS = (1, 2)  # 1 knew no position within an epoch; its weights load as ever


def save_checkpoint(path: Path, content: Mapping[str, Any], keep_previous: bool = False) -> None:
    """Write a checkpoint under a temporary name, then rename it over the old one.

    At every moment `path` is either the old file or the new one, whole and on the disk.

    Args:
        path: The file.
        content: Tensors and plain types, so that it loads with weights_only=True.
        keep_previous: Keep the old file as previous_path(path).

    Raises:
        UserError: The disk is full or read-only; the old file is untouched.
    """
    with _loader_deaths_waiting():
        _write(path, content, keep_previous)


def _write(path: Path, content: Mapping[str, Any], keep_previous: bool) -> None:
    """See save_checkpoint."""
    try:
        with whole_file(path) as temporary:
            with temporary.open("wb") as stream:
                torch.save({"format": FORMAT, **content}, stream)
                stream.flush()
                os.fsync(stream.fileno())
            if keep_previous and path.exists():
                _keep(path, previous_path(path))
        _sync_folder(path.parent)
    except RuntimeError as error:  # torch's word for a write that failed
        origins = list(_origins(error))
        for origin in origins:
            if "DataLoader worker" in str(origin):
                raise origin from None  # of a signal's handler: no matter of this file
        failed = [origin for origin in origins if isinstance(origin, OSError)]
        raise cannot_write(path, next(iter(failed), error)) from error


@contextmanager
def _loader_deaths_waiting() -> Iterator[None]:
    """Let the death of a loader process wait until the file is whole.

    DataLoader raises it from a signal's handler, within whatever runs: torch's writer, cut short,
    would write on to a file that has been closed, and end the process.
    """
    number = getattr(signal, "SIGCHLD", None)
    handler = None if number is None else signal.getsignal(number)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[tuple[int, FrameType | None]] = []
    signal.signal(number, lambda *signals: caught.append(signals))
    try:
        yield
    finally:
        signal.signal(number, handler)
    if caught:
        handler(*caught[0])


def previous_path(path: Path) -> Path:
    """Where the checkpoint before the last one is kept: last.pt gives last.previous.pt."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def load_latest_checkpoint(path: Path) -> dict[str, Any]:
    """The checkpoint, or, with a warning, the one before it where the file is damaged or gone.

    Raises:
        UserError: Neither can be read; tells why not the first.
    """
    try:
        return load_checkpoint(path)
    except UserError as error:
        previous = previous_path(path)
        try:
            content = load_checkpoint(previous)
        except UserError:
            raise error from None
        # Aside, so that the next save does not put it in the place of the good one.
        with contextlib.suppress(OSError):
            os.replace(path, path.with_name(f"{path.stem}.damaged{path.suffix}"))
        print(f"warning: {error}; going on from the one before, {previous.name}")
        return content


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to CPU memory without running any code that it may hold.

    Raises:
        UserError: No such file, truncated or damaged, a pickle with code in it, or no checkpoint
            of this project.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint; train.py writes best.pt and last.pt")
    with path.open("rb") as stream:
        stand_in = describe_stand_in(stream.read(1024))
    if stand_in:
        raise UserError(f"{path}: {stand_in}")
    try:
        _check_sums(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of foreign pickle protocols: they are refused below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: refused, it holds more than tensors and plain values (or is no checkpoint)"
        ) from error
    # A damaged file can make the decoders raise nearly anything.
    except Exception as error:
        raise UserError(f"{path}: truncated or damaged; take another copy of it") from error
    number = content.get("format") if isinstance(content, dict) else None
    if not isinstance(number, int) or number not in _READABLE_FORMATS:
        raise UserError(f"{path}: not a checkpoint of this project (format {FORMAT})")
    return content


def entry(content: Mapping[str, Any], key: str, kind: type | UnionType, path: Path) -> Any:
    """What a checkpoint holds under a key.

    Raises:
        UserError: Nothing, or something of another kind, as no version of this project writes it.
    """
    value = content.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise spoilt_entry(path, key)
    return value


def spoilt_entry(path: Path, key: str) -> UserError:
    """One line for an entry of a checkpoint that makes no sense."""
    return UserError(f"{path}: its entry {key!r} makes no sense; take another copy of the file")


def load_weights(model: nn.Module, state: Mapping[str, Any], path: Path) -> None:
    """Put a checkpoint's weights into a network, all of them.

    Raises:
        UserError: The weights are of another network, or of one with other sizes, such as another
            number of classes; names a tensor with both shapes.
    """
    own = model.state_dict()
    if not all(isinstance(t, Tensor) and t.layout is torch.strided for t in state.values()):
        raise spoilt_entry(path, "model")
    missing, surplus = (
        sorted(own.keys() - state.keys()),
        sorted(map(str, state.keys() - own.keys())),
    )
    other = [k for k in own.keys() & state.keys() if not _fit(own[k], state[k])]
    if missing or surplus or other:
        network = type(getattr(model, "module", model)).__name__  # behind a moving average
        first = (missing or surplus or sorted(other))[0]
        shapes = [
            f"{' x '.join(map(str, tensors[first].shape))} {place}"
            for tensors, place in ((state, "in the file"), (own, f"in {network}"))
            if first in tensors
        ]
        raise UserError(
            f"{path}: weights of another network than the {network} of model.name and model.args "
            f"({len(missing)} tensors missing, {len(surplus)} unknown, {len(other)} of another "
            f"shape, such as {first}: {', '.join(shapes)})"
        )
    model.load_state_dict(dict(state))


def _fit(own: Tensor, stored: Tensor) -> bool:
    """Whether one can take the place of the other: complex numbers never do."""
    return own.shape == stored.shape and own.is_complex() == stored.is_complex()


def _origins(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those in whose wake it came: torch reports a failed write once more."""
    while error is not None:
        yield error
        error = error.__context__


def _check_sums(path: Path) -> None:
    """Compare every record with its checksum, which torch.load leaves unread."""
    if not zipfile.is_zipfile(path):
        return  # torch.load says what else it may be
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
        # torch would take a record so marked for a folder, and its tensor for whatever comes.
        folders = [entry.filename for entry in archive.infolist() if entry.external_attr & _FOLDER]
    if folders:
        raise ValueError(f"record {folders[0]} is marked as a folder")
    if damaged is not None:
        raise ValueError(f"record {damaged} differs from its checksum")


def _keep(path: Path, previous: Path) -> None:
    """Give a file a second name, so that it stays when its first goes to another."""
    link = draft_of(previous)
    try:
        os.link(path, link)
        os.replace(link, previous)
        link.unlink(missing_ok=True)  # rename leaves it where both were names of one file already
    except OSError:  # a file system without links
        os.replace(path, previous)


def _sync_folder(folder: Path) -> None:
    """Put a rename on the disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
