"""record.json of a run: by what it was begun, and, once it is scored, what it took."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from datasets.stored import map_ahead
from training.run_folder import RunFolder
from training.run_info import collect_environment
from utils.config import Config
from utils.config_loader import changed_keys, flatten, restore_config
from utils.errors import UserError
from utils.files import parse_json, write_json
from utils.messages import first_of
from utils.yaml_source import load_yaml

try:
    import fcntl
except ImportError:  # Windows: two sweeps of the same runs at once are then the user's business
    fcntl = None

# What may differ between two starts of a run, as it changes none of its numbers.
_FREE = ("checkpoint.", "logging.", "data.root", "data.num_workers", "data.cache_mib")
_HIDDEN = "."
SCORES = "metrics.json"


class Record(NamedTuple):
    """What a run folder says of its run.

    Attributes:
        data: Fingerprint of the data folder that it was begun on.
        settings: Fingerprint of its configuration.
        seconds: Of all sessions that ended by themselves.
        is_finished: Whether it is trained and scored.
    """

    data: str
    settings: str
    seconds: float
    is_finished: bool


def fingerprint_data(root: Path) -> str:
    """A hash over the names and contents of all files of a data folder but hidden ones.

    Raises:
        UserError: No such folder, or a file that cannot be read.
    """
    if not root.is_dir():
        raise UserError(
            f"{root}: no such data folder; make it with prepare.py, or say where it is with "
            "--data NAME=DIR"
        )
    digest = hashlib.sha256()
    try:
        files = sorted(
            path
            for path in root.rglob("*")
            if path.is_file()
            and not any(part.startswith(_HIDDEN) for part in path.relative_to(root).parts)
        )
        for path, content in zip(files, map_ahead(_hash_file, files), strict=True):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + content)
    except OSError as error:
        raise UserError(f"{error.filename or root}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()[:16]


def _hash_file(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def fingerprint_settings(config: Config) -> str:
    """A hash over all that decides on a run's numbers, beside its data."""
    values = flatten(config.model_dump(mode="json"))
    kept = {key: value for key, value in values.items() if not key.startswith(_FREE)}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def read_record(folder: RunFolder) -> Record | None:
    """The record of a run; None where none was begun or it cannot be read."""
    try:
        content = parse_json(_path(folder).read_text(encoding="utf-8"))
        is_finished = content["finished"] and (folder.path / SCORES).is_file()
        return Record(content["data"], content["settings"], content["seconds"], bool(is_finished))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_record(folder: RunFolder, config: Config, data: str) -> Record | None:
    """The record of a run, once it is known to be of these settings and this data.

    None for a run that has nothing to go on from: it begins anew.

    Raises:
        UserError: Settings or data have changed since the run was begun: says which.
    """
    record = read_record(folder)
    if record is None or not (record.is_finished or folder.can_go_on()):
        return None
    rest = "take another --out, or remove the folder to run it anew"
    if record.data != data:
        raise UserError(
            f"{folder.path}: was run on other data than {config.data.root} holds now "
            f"({record.data}, now {data}); results of both are not mixed: {rest}"
        )
    if record.settings != fingerprint_settings(config) and (changed := _changes(folder, config)):
        raise UserError(f"{folder.path}: was run with {changed}; {rest}")
    return record


def _changes(folder: RunFolder, config: Config) -> str:
    """Which settings a run had otherwise; '' where only keys are new, and have their defaults."""
    if not folder.config.is_file():
        return "other settings"
    former = restore_config(load_yaml(folder.config)[0], folder.config)
    changed = [key for key in changed_keys(former, config) if not key.startswith(_FREE)]
    return f"another {first_of(changed)}" if changed else ""


def write_record(folder: RunFolder, record: Record) -> None:
    """Note what a run is begun on, before anything else of it is there; and at last its end."""
    folder.path.mkdir(parents=True, exist_ok=True)
    content = record._asdict() | {"finished": record.is_finished}
    del content["is_finished"]
    if record.is_finished:
        content["environment"] = collect_environment()
    write_json(_path(folder), content)


@contextmanager
def alone_in(folder: RunFolder) -> Iterator[None]:
    """A block that one process at a time is in, for each run folder; the others wait.

    A process that was killed leaves it. So a sweep that is started again waits for a run that the
    killed one has left behind, and then finds it finished.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    with (folder.path / ".lock").open("w") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _path(folder: RunFolder) -> Path:
    return folder.path / "record.json"
