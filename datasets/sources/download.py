"""Fetching files that have direct links: resumed, checked, and there as a whole or not at all."""

import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.utils import formatdate, mktime_tz, parsedate_tz
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tqdm import tqdm

from datasets.sources.source import Download, Source
from utils.errors import UserError

_CHUNK = 1 << 20
_TIMEOUT_S = 60
_NUM_ATTEMPTS = 4  # without a single byte in between
_PAUSE_S = 1.0
_PARTIAL, _RANGE_WRONG = 206, 416
_SPAN = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _Answer(NamedTuple):
    """Where a server's bytes begin, how many the whole file has, and when it was changed (0: ?)."""

    start: int
    total: int | None
    changed: float


def download(source: Source, folder: Path, progress: Callable[..., tqdm] = tqdm) -> list[Path]:
    """Fetch the files of a source that are not there yet.

    A file grows as <name>.part, from which a later call goes on, and gets its name once it is whole
    and its sum is right.

    Args:
        source: With direct links.
        folder: Where to; made where it is missing.
        progress: Makes the bar of a file, as tqdm does.

    Returns:
        The files, in the order of source.downloads.

    Raises:
        UserError: No direct link, no connection, no such file, a broken download, a wrong sum, or
            no room on the disk.
    """
    if not source.downloads:
        raise UserError(
            f"{source.facts.name}: no direct link; get it from {source.homepage} and name its "
            f"folder with --from (expected: {'; '.join(source.expects)})"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror})") from error
    return [_fetch(item, folder, source.homepage, progress) for item in source.downloads]


def _fetch(item: Download, folder: Path, homepage: str, progress: Callable[..., tqdm]) -> Path:
    """One file, new or as it is."""
    path = folder / item.file
    if path.exists():
        if problem := _misfit(path, item):
            raise UserError(f"{path}: {problem}; remove it, and it will be fetched again")
        return path
    part = folder / f"{item.file}.part"
    _check_room(item, part)
    if not (part.exists() and _size_of(part) == item.num_bytes):
        _fill(item, part, homepage, progress)
    if problem := _misfit(part, item):
        part.unlink()
        raise UserError(f"{item.url}: what has arrived {problem}; try again, or see {homepage}")
    os.replace(part, path)
    return path


def _fill(item: Download, part: Path, homepage: str, progress: Callable[..., tqdm]) -> None:
    """Fetch until the part is whole; a connection that breaks on the way is taken up again."""
    begun, failures = _size_of(part), 0
    while True:
        before = _size_of(part)
        try:
            if _receive(item, part, progress):
                return
            problem = "the connection broke"
        except urllib.error.HTTPError as error:
            error.close()
            raise UserError(
                f"{item.url}: the server answers {error.code} {error.reason}; look for the file at "
                f"{homepage}"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            problem = f"no connection ({getattr(error, 'reason', None) or error})"
        held = _size_of(part)
        failures = 0 if held > before else failures + 1
        if held == begun or failures == _NUM_ATTEMPTS:
            raise UserError(
                f"{item.url}: {problem}, with {held:,} bytes there; try again, which goes on from "
                f"there, or get the file from {homepage}"
            )
        time.sleep(_PAUSE_S * failures)


def _receive(item: Download, part: Path, progress: Callable[..., tqdm]) -> bool:
    """Ask for what is missing and append it; whether the part is whole then."""
    held = _size_of(part)
    request = urllib.request.Request(item.url, headers={"User-Agent": "prepare.py"})
    if held:
        request.add_header("Range", f"bytes={held}-")
        # The part bears the date of the file it is of, if there was one: a file that has changed
        # since is sent from its beginning.
        if date := part.stat().st_mtime:
            request.add_header("If-Range", formatdate(date, usegmt=True))
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            answer = _read_head(response, held)
            with progress(
                desc=item.file, total=answer.total, initial=answer.start, unit="B", unit_scale=True
            ) as bar:
                _append(response, part, answer, bar)
    except urllib.error.HTTPError as error:
        if error.code != _RANGE_WRONG or not held:
            raise
        error.close()
        if error.headers["Content-Range"] == f"bytes */{held}":
            return True  # whole, and only not called so yet
        part.unlink()  # longer than the file: of another one
        return _receive(item, part, progress)
    return answer.total is None or _size_of(part) == answer.total


def _read_head(response: http.client.HTTPResponse, held: int) -> _Answer:
    """What the server is about to send."""
    headers, start = response.headers, 0
    length = headers["Content-Length"]
    if response.status == _PARTIAL:
        span = _SPAN.fullmatch(headers["Content-Range"] or "")
        if span is None or int(span[1]) > held:
            raise http.client.HTTPException("the server sends another part than was asked for")
        start, length = int(span[1]), span[2]
    total = int(length) if (length or "").isdecimal() else None
    changed = parsedate_tz(headers["Last-Modified"] or "")
    return _Answer(start, total, float(mktime_tz(changed)) if changed else 0.0)


def _append(response: http.client.HTTPResponse, part: Path, answer: _Answer, bar: tqdm) -> None:
    """Write what comes behind what is there."""
    stamp = (answer.changed, answer.changed)
    with _writable(part) as stream:
        stream.truncate(answer.start)
        stream.seek(answer.start)
        os.utime(part, stamp)
        while chunk := response.read(_CHUNK):
            try:
                stream.write(chunk)
                os.utime(part, stamp)
            except OSError as error:
                raise _no_room(part, error) from error
            bar.update(len(chunk))


def _writable(part: Path) -> BinaryIO:
    """The part, to be written to; unbuffered, as a later flush would change its date."""
    try:
        return part.open("r+b" if part.exists() else "wb", buffering=0)
    except OSError as error:
        raise _no_room(part, error) from error


def _no_room(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be written ({error.strerror or error}); make room there")


def _check_room(item: Download, part: Path) -> None:
    """Refuse to begin what cannot end."""
    missing = (item.num_bytes or 0) - _size_of(part)
    free = shutil.disk_usage(part.parent).free
    if missing > free:
        raise UserError(
            f"{part.parent}: {item.file} needs {missing:,} bytes more, {free:,} are free; make room"
        )


def _misfit(path: Path, item: Download) -> str:
    """How a file differs from what is known of it; '' where it does not."""
    size = _size_of(path)
    if item.num_bytes is not None and size != item.num_bytes:
        return f"has {size:,} bytes instead of {item.num_bytes:,}"
    for kind, expected in (("sha256", item.sha256), ("md5", item.md5)):
        if expected is not None and (found := _sum(path, kind)) != expected.lower():
            return f"has the {kind} sum {found} instead of {expected}"
    return ""


def _sum(path: Path, kind: str) -> str:
    """Of a file, hexadecimal."""
    digest = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _size_of(path: Path) -> int:
    """In bytes; 0 where it is not there."""
    return path.stat().st_size if path.exists() else 0
