"""The files of a data set as downloaded: folders and zip archives, nested or not."""

import os
import shutil
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from datasets.stand_ins import describe_stand_in
from utils.errors import UserError

_IGNORED = ("__MACOSX", ".DS_Store", "Thumbs.db")
_SUFFIXES = (".nii.gz",)  # of two parts


class FoundFile(NamedTuple):
    """One file, on the disk or within an archive.

    Attributes:
        path: The file, or the archive that holds it.
        member: Its name within the archive; None for a file on the disk.
        place: Its path below the root, archives counting as folders, for looking things up.
    """

    path: Path
    member: str | None
    place: PurePosixPath

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.place.name

    @property
    def suffix(self) -> str:
        """Its suffix in small letters, .nii.gz as one."""
        return self.name[len(self.stem) :].lower()

    @property
    def stem(self) -> str:
        """Its name without the suffix."""
        lower = self.name.lower()
        for suffix in _SUFFIXES:
            if lower.endswith(suffix):
                return self.name[: -len(suffix)]
        return PurePosixPath(self.name).stem

    @property
    def folder(self) -> str:
        """The folder it lies in, by name; '' at the root."""
        return self.place.parent.name

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.path}:{self.member}"

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """The file itself, or a copy unpacked for as long as it is needed.

        Raises:
            UserError: The archive is damaged, or there is no room to unpack it.
        """
        if self.member is None:
            yield self.path
            return
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            copy = Path(folder) / self.name
            try:
                archive = _open_archive(self.path)
                with archive.open(self.member) as packed, copy.open("wb") as stream:
                    shutil.copyfileobj(packed, stream)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise UserError(f"{self}: damaged ({error}); download the archive again") from error
            except (RuntimeError, NotImplementedError) as error:  # encrypted, exotic compression
                raise UserError(f"{self}: {error}; unpack the archive yourself") from error
            except OSError as error:
                raise UserError(
                    f"{self}: cannot be unpacked to {folder} ({error.strerror}); make room there, "
                    "or set TMPDIR to a folder with more"
                ) from error
            yield copy


class FileTree:
    """All files below a folder, or within one archive.

    Args:
        root: A folder, or a zip file.

    Raises:
        UserError: There is no such place, or an archive is damaged or names a file outside.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        if not root.exists():
            raise UserError(f"--from {root}: no such file or folder")
        paths = sorted(root.rglob("*")) if root.is_dir() else [root]
        base = root if root.is_dir() else root.parent
        self.files: list[FoundFile] = []
        for path in paths:
            place = _composed(path.relative_to(base).as_posix())
            if path.is_dir() or _is_ignored(place):
                continue
            if path.suffix.lower() == ".zip":
                self.files += _list_archive(path, place, beside=root.is_dir())
            else:
                self.files.append(FoundFile(path, None, place))

    def with_suffix(self, *suffixes: str) -> list[FoundFile]:
        """The files with one of the suffixes, in the order of their places."""
        return [file for file in self.files if file.suffix in suffixes]

    def describe(self, count: int = 8) -> str:
        """The first files in words, for a message that nothing fits."""
        listed = ", ".join(str(file.place) for file in self.files[:count])
        more = f" and {len(self.files) - count} more" if len(self.files) > count else ""
        return listed + more or "no file"


def _open_archive(path: Path) -> zipfile.ZipFile:
    """An archive that stays open: to read the list of its files takes 60 ms where it has 5,000."""
    try:
        state = path.stat()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore it") from error
    return _keep_open(path, state.st_mtime_ns, state.st_size, os.getpid())


@lru_cache(maxsize=4)
def _keep_open(path: Path, changed_ns: int, num_bytes: int, process: int) -> zipfile.ZipFile:
    """One per state of the file, and per process: a fork would share the position in the file."""
    return zipfile.ZipFile(path)


def _list_archive(path: Path, place: PurePosixPath, *, beside: bool) -> list[FoundFile]:
    """The files within an archive; its own name without .zip counts as a folder.

    Args:
        path: The archive.
        place: Its path below the root.
        beside: Leave out what has been unpacked beside it, too.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile as error:
        with path.open("rb") as stream:
            stand_in = describe_stand_in(stream.read(1024))
        reason = f": {stand_in}" if stand_in else f" ({error}); download it again"
        raise UserError(f"{path}: not a whole zip archive{reason}") from error
    except (NotImplementedError, ValueError, OSError) as error:
        raise UserError(f"{path}: not a whole zip archive ({error}); download it again") from error
    found = []
    for member in members:
        inner = PurePosixPath(member.filename.replace("\\", "/"))
        if inner.is_absolute() or ".." in inner.parts or ":" in "".join(inner.parts[:1]):
            raise UserError(
                f"{path}: holds {member.filename!r}, which points outside of it; do not use it"
            )
        if member.is_dir() or not inner.name or _is_ignored(inner):
            continue
        if not (beside and _is_unpacked(path, inner, member.file_size)):
            found.append(
                FoundFile(path, member.filename, place.with_suffix("") / _composed(str(inner)))
            )
    return sorted(found, key=lambda file: file.place)


def _is_unpacked(archive: Path, inner: PurePosixPath, num_bytes: int) -> bool:
    """Whether a member lies in a folder called after its archive, or in its own folder, as well.

    A bare file of the same name beside the archive may be another one: scans and masks often share
    their names.
    """
    folders = [archive.with_suffix("")] + [archive.parent] * (len(inner.parts) > 1)
    copies = [folder / inner for folder in folders]
    return any(copy.is_file() and copy.stat().st_size == num_bytes for copy in copies)


def _composed(place: str) -> PurePosixPath:
    """A place in composed letters (NFC): archives of some systems spell them in parts (NFD)."""
    return PurePosixPath(unicodedata.normalize("NFC", place))


def _is_ignored(place: PurePosixPath) -> bool:
    """What operating systems leave behind."""
    return any(part in _IGNORED or part.startswith("._") for part in place.parts)
