"""Slices decoded once: where a split's cache is kept, when it holds, and how it is made."""

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from datasets.cache_file import FORMAT, DamagedCacheError, SliceCache, write_cache
from datasets.pairing import SliceFiles
from datasets.stored import SliceFacts, read_slices
from utils.errors import UserError

_MIB = 2**20
_ABANDONED = 3600.0  # s without a write, after which a draft's process is taken for dead

Report = Callable[[str], None]


def open_cache(
    root: Path, split: str, slices: Sequence[SliceFiles], limit_mib: int, report: Report = print
) -> tuple[list[SliceFacts], SliceCache | None]:
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
    decoded, facts = read_slices(slices), []
    if limit_mib == 0:
        return [fact for _, fact in decoded], None
    name = f"{split}-{_fingerprint(root, slices, limit_mib)}.bin"
    folders = _folders(root)
    cache = _find(folders, name, report)
    if cache is not None:
        return cache.facts, cache
    try:
        path = _writable(folders) / name
        write_cache(path, decoded, facts, limit_mib * _MIB)
        cache = SliceCache(path)
    except (OSError, UserError, DamagedCacheError) as error:
        facts += [fact for _, fact in decoded]
        if len(facts) < len(slices):
            raise  # a slice was at fault, after which no more are decoded
        report(
            f"warning: data.cache_mib: no cache of {split} could be written "
            f"({error.__cause__ or error}); its slices are decoded anew in every epoch; make "
            "room, or set it to 0"
        )
        return facts, None
    _remove_others(folders, split, path)
    return facts, cache


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
            return SliceCache(folder / name)
        except OSError:
            continue
        except DamagedCacheError as error:
            report(f"warning: {folder / name}: {error}; building it anew")
    return None


def _writable(folders: Sequence[Path]) -> Path:
    """The first folder that takes files, made where it is missing."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()  # a read-only mount refuses only this
            return folder
        except OSError as caught:
            error = caught
    raise error


def _remove_others(folders: Sequence[Path], split: str, kept: Path) -> None:
    """Delete the split's older caches, and drafts whose process died."""
    for folder in folders:
        for path in (*folder.glob(f"{split}-*"), *folder.glob(f".*.{split}-*")):
            with contextlib.suppress(OSError):  # another process was faster, or is reading it
                is_draft = path.name.startswith(".")
                if is_draft and time.time() - path.stat().st_mtime < _ABANDONED:
                    continue
                if path.with_suffix(kept.suffix) != kept:
                    path.unlink()
