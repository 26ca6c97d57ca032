"""The CT series in a folder of DICOM files, told by their headers alone."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from datasets.volumes.dicom_geometry import arrange, have_places, place_by_number
from datasets.volumes.dicom_header import SliceHeader, read_header
from datasets.volumes.dicom_stacks import Stack, find_stacks
from utils.errors import UserError
from utils.messages import count

_MAX_NAME = 60
_FEW = 0.2  # of the other slices; where more differ, slices are scaled one by one


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
        note: How its slices were found together, for a line; None where its UID says so.
        is_numbered: Whether slices lie in the order of their numbers, as their places are lost.
    """

    uid: str
    name: str
    patient: str | None
    folder: Path
    files: tuple[Path, ...]
    headers: tuple[SliceHeader, ...]
    problem: str | None = None
    note: str | None = None
    is_numbered: bool = False


class SeriesSearch(NamedTuple):
    """What is found among files.

    Attributes:
        series: In the order of their names.
        others: DICOM or not, what is no slice of a scan, and how many of each kind.
        advice: How images of other modalities are read; empty where there are none.
        notes: What was done to join or to tell apart, a line each.
    """

    series: list[DicomSeries]
    others: str
    advice: str
    notes: list[str]

    def all_notes(self) -> list[str]:
        """The notes, and the advice where nothing was found."""
        if not self.advice or self.series:
            return list(self.notes)
        return [*self.notes, f"no CT among DICOM files, but {self.others}{self.advice}"]


def list_files(folder: Path) -> list[Path]:
    """All files below a folder at all depths, in the order of their names, but for hidden ones."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    ]


def find_series(folder: Path, *, any_modality: bool = False) -> list[DicomSeries]:
    """All CT series below a folder, in the order of their names.

    Args:
        folder: Searched at all depths, but for what is hidden; or a single file.
        any_modality: See `search_series`.

    Raises:
        UserError: No such folder, or no CT series in it; says what there is instead.
    """
    if not folder.exists():
        raise UserError(f"{folder}: no such folder")
    files = list_files(folder) if folder.is_dir() else [folder]
    found = search_series(files, any_modality=any_modality)
    if not found.series:
        raise UserError(
            f"{folder}: holds no CT series in DICOM files, but {found.others}{found.advice}"
        )
    return found.series


def search_series(paths: Iterable[Path], *, any_modality: bool = False) -> SeriesSearch:
    """All CT series among files.

    Files are told by their content, not by their suffix. Localizers, screenshots and whatever is no
    CT image (reports, segmentations, other modalities) are passed over. A series with missing,
    doubled or mixed slices is found all the same, and refused by `open_series`, so that the others
    can be read; a file that cannot be read spoils the series in its folder, or stands for one
    itself where there is none.

    Args:
        paths: The files.
        any_modality: Take images of all modalities for CT; where their places are lost, in the
            order of InstanceNumber.
    """
    slices: list[SliceHeader] = []
    others: Counter[str] = Counter()
    modalities: dict[str, None] = {}
    damaged: dict[Path, str] = {}
    for path in paths:
        try:
            header = read_header(path, any_modality=any_modality)
        except UserError as error:
            damaged[path] = str(error)
            continue
        if isinstance(header, SliceHeader):
            slices.append(header)
            continue
        others[header.kind] += 1
        if header.is_image:
            modalities[header.kind] = None
    stacks, scouts = find_stacks(slices)
    if scouts:
        others["scout or flat stack"] += len(scouts)
    series = [_gather(stack, damaged, any_modality) for stack in stacks]
    occupied = {path.parent for one in series for path in one.files}
    series += [
        DicomSeries("", _sanitise(path.stem), None, path.parent, (path,), (), problem)
        for path, problem in damaged.items()
        if path.parent not in occupied
    ]
    named = " and ".join(modalities)
    advice = f"; where {named} is CT that was tagged wrongly, --modality any reads it"
    notes = [one.note for one in series if one.note]
    notes += filter(None, map(_describe_odd_rescale, series))
    if scouts and series:
        what = f"{count(len(scouts), 'image')} passed over, a scout or too thin for a scan"
        notes.append(f"{scouts[0].path}: {what}")
    return SeriesSearch(_tell_apart(series), _list(others), advice if named else "", notes)


def _gather(stack: Stack, damaged: Mapping[Path, str], any_modality: bool) -> DicomSeries:
    """One series, its slices in order if they have one."""
    headers, note, is_numbered = stack.headers, stack.note, False
    folders = {header.path.parent for header in headers}
    problem = next((line for path, line in damaged.items() if path.parent in folders), None)
    try:
        is_sound = all(header.problem is None for header in headers)
        if any_modality and is_sound and not have_places(headers):
            headers, is_numbered = place_by_number(headers), True
            numbered = (
                f"{headers[0].path.parent}: {headers[0].title}: slices lie in the order of "
                f"InstanceNumber, from feet to head, {headers[0].distance:g} mm apart as the "
                "header says; neither order nor sides are known for sure"
            )
            note = "; ".join(filter(None, (note, numbered)))
        headers = arrange(headers)
    except UserError as error:
        problem = problem or str(error)
    return DicomSeries(
        uid=headers[0].series,
        name=_sanitise(f"{headers[0].title} {stack.mark}".strip()),
        patient=headers[0].patient,
        folder=Path(os.path.commonpath(folders)),
        files=tuple(header.path for header in headers),
        headers=tuple(headers),
        problem=problem,
        note=note,
        is_numbered=is_numbered,
    )


def _describe_odd_rescale(series: DicomSeries) -> str | None:
    """Slices that turn into HU in another way than nearly all of the series."""
    ways = Counter((header.slope, header.intercept) for header in series.headers)
    (usual, number), *_ = ways.most_common(1) or [((1, 0), 0)]
    odd = [header for header in series.headers if (header.slope, header.intercept) != usual]
    if not odd or len(odd) > _FEW * number:
        return None
    return (
        f"{odd[0].path}: RescaleSlope {odd[0].slope:g} and RescaleIntercept {odd[0].intercept:g}, "
        f"where {count(number, 'slice')} of the series have {usual[0]:g} and {usual[1]:g}; look at "
        f"{'this slice' if len(odd) == 1 else f'these {len(odd)} slices'}"
    )


def _sanitise(title: str) -> str:
    """A title as a file name on any system: letters without accents, digits, underscores."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9]+", "_", plain)[:_MAX_NAME].strip("_")
    return f"series_{words}" if words else "series"


def _tell_apart(series: Sequence[DicomSeries]) -> list[DicomSeries]:
    """Add to equal names what is drawn from their UIDs, or files; sorted by name."""
    for key in (lambda one: one.uid or str(one.files[0]), lambda one: str(one.files[0])):
        counts = Counter(one.name.lower() for one in series)
        series = [
            one
            if counts[one.name.lower()] == 1
            else one._replace(name=f"{one.name}_{_short(key(one))}")
            for one in series
        ]
    return sorted(series, key=lambda one: one.name)


def _short(key: str) -> str:
    """Eight letters for a UID or a path."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def _list(counts: Mapping[str, int]) -> str:
    """What was found, in words."""
    parts: Iterable[str] = (f"{kind} ({number})" for kind, number in sorted(counts.items()))
    return ", ".join(parts) or "no file at all"
