"""Slices decoded once: where a split's cache is kept, when it holds, and how it is made."""

import contextlib
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from datasets.cache_file import FORMAT, CacheWriter, DamagedCacheError, SliceCache
from datasets.pairing import SliceFiles
from datasets.stored import SliceLook, StoredSlice, read_slices

_MIB = 2**20
_ABANDONED = 3600.0  # s without a write, after which a draft's process is taken for dead

Report = Callable[[str], None]


def open_cache(
    root: Path, split: str, slices: Sequence[SliceFiles], limit_mib: int, report: Report = print
) -> tuple[list[SliceLook], SliceCache | None]:
    """Look at every slice of a split and keep it decoded; or find it kept, and decode nothing.

    The cache lies in <root>/.cache, or where that cannot be written in the user's cache folder.
    Its name depends on every file's path, size and times, on the limit and on the format, so a
    cache of other files is never read. Changes of files during a run are not seen.

    Args:
        root: The data folder.
        split: train, val or test.
        slices: Its slices.
        limit_mib: MiB of decoded slices; later ones are decoded every time. 0 is no cache.
        report: Told in one line why there is no cache, or a new one.

    Returns:
        What was found in each slice, and the cache; None without one.

    Raises:
        UserError: A file is damaged, or sizes of a pair differ.
    """
    if limit_mib == 0:
        return [look for _, look in read_slices(slices)], None
    name = f"{split}-{_fingerprint(root, slices, limit_mib)}.cache"
    folders = _folders(root)
    cache = _find(folders, name, report)
    if cache is not None:
        return cache.looks, cache
    with _Draft(folders, name, limit_mib * _MIB) as draft:
        looks = []
        for stored, look in read_slices(slices):
            draft.add(stored, look)
            looks.append(look)
        cache = draft.publish()
    if cache is None:
        report(
            f"warning: data.cache_mib: no cache of {split} could be written ({draft.error}); "
            "its slices are decoded anew in every epoch; make room, or set it to 0"
        )
    else:
        _remove_others(folders, split, cache.path)
    return looks, cache


def _fingerprint(root: Path, slices: Sequence[SliceFiles], limit_mib: int) -> str:
    """A hash that changes with any file's name, size or times (ctime cannot be set back)."""
    digest = hashlib.sha256(f"{FORMAT} {limit_mib}".encode())
    for files in slices:
        for path in (files.image, files.mask, files.edge, files.lung):
            digest.update(b"\0")
            if path is not None:
                digest.update(os.fsencode(path.relative_to(root)))
                with contextlib.suppress(OSError):  # reading the file will say what is wrong
                    stat = path.stat()
                    times = f"{stat.st_mtime_ns} {stat.st_ctime_ns}"
                    digest.update(f"\0{stat.st_size} {times}".encode())
    return digest.hexdigest()[:24]


def _folders(root: Path) -> list[Path]:
    """Where a cache may lie, the first choice first."""
    folders = [root / ".cache"]
    with contextlib.suppress(RuntimeError):  # a user without a home
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        place = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
        folders.append(base / "cosupervision" / place)
    return folders


def _find(folders: Sequence[Path], name: str, report: Report) -> SliceCache | None:
    """The cache of that name, where there is one and it is whole."""
    for folder in folders:
        try:
            return SliceCache(folder / name, key=name)
        except OSError:
            continue
        except DamagedCacheError as error:
            report(f"warning: {folder / name}: {error}; building it anew")
    return None


def _remove_others(folders: Sequence[Path], split: str, kept: Path) -> None:
    """Delete the split's older caches, and drafts whose process died."""
    for folder in folders:
        for path in folder.glob(f"{split}-*"):
            with contextlib.suppress(OSError):  # another process was faster, or is reading it
                is_draft = path.suffix == ".tmp"
                if is_draft and time.time() - path.stat().st_mtime < _ABANDONED:
                    continue
                if path != kept:
                    path.unlink()


class _Draft:
    """A cache in the making, under a name of its own: only a whole one gets the cache's name.

    A failure to write ends the draft and not the run; `error` then says why.

    Args:
        folders: Where it may be kept; the first that can be written is taken.
        name: Name and identity of the cache.
        limit: Bytes of all arrays.
    """

    def __init__(self, folders: Sequence[Path], name: str, limit: int) -> None:
        self.error: Exception | None = None
        self._file = None
        for folder in folders:
            self._path = folder / name
            self._temporary = folder / f"{name}.{uuid.uuid4().hex}.tmp"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._file = self._temporary.open("xb")
            except OSError as error:
                self.error = error
                continue
            self._writer, self.error = CacheWriter(self._file, name, limit), None
            break

    def __enter__(self) -> "_Draft":
        return self

    def __exit__(self, *_: object) -> None:
        self._discard()

    def add(self, stored: StoredSlice, look: SliceLook) -> None:
        """Append a slice."""
        if self.error is None:
            try:
                self._writer.add(stored, look)
            except OSError as error:
                self._fail(error)

    def publish(self) -> SliceCache | None:
        """Give the file its name and open it; None where a write failed."""
        if self.error is None:
            try:
                self._writer.finish()
                self._file.close()
                os.replace(self._temporary, self._path)
                return SliceCache(self._path, key=self._path.name)
            except (OSError, DamagedCacheError) as error:
                self._fail(error)
        return None

    def _fail(self, error: Exception) -> None:
        self.error = error
        self._discard()  # at once: a full disk is everybody's

    def _discard(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # closing writes what is left, and may fail as well
                self._file.close()
            with contextlib.suppress(OSError):
                self._temporary.unlink(missing_ok=True)
