"""Files and folders that appear whole or not at all: written under another name, then renamed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from utils.errors import UserError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write a file that is to appear at `path`; an error leaves what was there before.

    The temporary name ends as `path` does, for writers that go by the suffix.

    Raises:
        UserError: The disk is full or read-only; names the file.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Where to write a folder that is to appear at `path`, which must be new or empty.

    Raises:
        UserError: `path` is not empty, or the disk is full or read-only.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{path} exists and is not empty: remove it or choose another --out")
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        yield partial
        partial.chmod(0o755)  # mkdtemp makes it private
        os.replace(partial, path)  # an empty folder is replaced, too
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def _cannot_write(path: Path, error: OSError) -> UserError:
    """One line for a disk that does not take it; what was asked for, not the temporary name."""
    return UserError(
        f"{path}: cannot be written ({error.strerror or error}); make room on the disk"
    )
