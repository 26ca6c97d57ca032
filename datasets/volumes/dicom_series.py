"""The CT series in a folder of DICOM files, told by their headers alone."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from datasets.volumes.dicom_geometry import arrange
from datasets.volumes.dicom_header import SliceHeader, read_header
from utils.errors import UserError

_MAX_NAME = 60


class DicomSeries(NamedTuple):
    """The slices of one scan.

    Attributes:
        uid: SeriesInstanceUID.
        name: Series number and description, fit for a file name and unique among those found with
            it; also where upper and lower case are one.
        patient: PatientID; None where no slice has one.
        folder: The innermost that holds all files.
        files: In the order of `headers`.
        headers: Of the slices, along the normal of their planes; by path if there is a problem.
        problem: Why the series cannot be opened, for a UserError; None where it can.
    """

    uid: str
    name: str
    patient: str | None
    folder: Path
    files: tuple[Path, ...]
    headers: tuple[SliceHeader, ...]
    problem: str | None = None


def find_series(folder: Path) -> list[DicomSeries]:
    """All CT series below a folder, in the order of their names.

    Files are told by their content, not by their suffix. Localizers, screenshots and whatever is no
    CT image (reports, segmentations, other modalities) are passed over. A series with missing,
    doubled or mixed slices is found all the same, and refused by `open_series`, so that the others
    can be read; a file that cannot be read spoils the series in its folder, or stands for one
    itself where there is none.

    Args:
        folder: Searched at all depths; or a single file.

    Raises:
        UserError: No such folder, or no CT series in it; says what there is instead.
    """
    if not folder.exists():
        raise UserError(f"{folder}: no such folder")
    paths = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
    slices: dict[str, list[SliceHeader]] = {}
    others: Counter[str] = Counter()
    damaged: dict[Path, str] = {}
    for path in paths:
        if path.is_dir():
            continue
        try:
            header = read_header(path)
        except UserError as error:
            damaged[path] = str(error)
            continue
        if isinstance(header, str):
            others[header] += 1
        else:
            slices.setdefault(header.series, []).append(header)
    if not slices and not damaged:
        raise UserError(f"{folder}: holds no CT series in DICOM files, but {_list(others)}")
    series = [_gather(uid, headers, damaged) for uid, headers in slices.items()]
    occupied = {path.parent for one in series for path in one.files}
    series += [
        DicomSeries("", _sanitise(path.stem), None, path.parent, (path,), (), problem)
        for path, problem in damaged.items()
        if path.parent not in occupied
    ]
    return _tell_apart(series)


def _gather(uid: str, headers: Sequence[SliceHeader], damaged: Mapping[Path, str]) -> DicomSeries:
    """One series, its slices in order if they have one."""
    folders = {header.path.parent for header in headers}
    problem = next((line for path, line in damaged.items() if path.parent in folders), None)
    try:
        headers = arrange(headers)
    except UserError as error:
        problem = problem or str(error)
    return DicomSeries(
        uid=uid,
        name=_sanitise(headers[0].title),
        patient=headers[0].patient,
        folder=Path(os.path.commonpath(folders)),
        files=tuple(header.path for header in headers),
        headers=tuple(headers),
        problem=problem,
    )


def _sanitise(title: str) -> str:
    """A title as a file name on any system: letters without accents, digits, underscores."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9]+", "_", plain)[:_MAX_NAME].strip("_")
    return f"series_{words}" if words else "series"


def _tell_apart(series: Sequence[DicomSeries]) -> list[DicomSeries]:
    """Add to equal names what is drawn from their UIDs; sorted by name."""
    counts = Counter(one.name.lower() for one in series)
    return sorted(
        (
            one if counts[one.name.lower()] == 1 else one._replace(name=f"{one.name}_{_short(one)}")
            for one in series
        ),
        key=lambda one: one.name,
    )


def _short(series: DicomSeries) -> str:
    """Eight letters for a UID, or for the file where there is none."""
    key = series.uid or str(series.files[0])
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def _list(counts: Mapping[str, int]) -> str:
    """What was found, in words."""
    parts: Iterable[str] = (f"{kind} ({number})" for kind, number in sorted(counts.items()))
    return ", ".join(parts) or "no file at all"
