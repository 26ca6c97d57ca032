"""What manifest.csv says of a data folder's slices: patient and pixel spacing."""

import csv
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from datasets.image_io import IMAGE_SUFFIXES
from utils.errors import UserError
from utils.files import unquote_cell

SPLITS = ("train", "val", "test")
_SUFFIXES = (*IMAGE_SUFFIXES, ".dcm", ".nii", ".nii.gz", ".npy")  # of what slices were made from
_SEPARATORS = ",;\t|"
_NEEDED = {"file", "patient"}


class ManifestEntry(NamedTuple):
    """One slice: its patient; sides of a px and distance of slices in mm, None where unknown."""

    patient: str
    spacing: tuple[float, float] | None
    distance: float | None = None


def stem_of(path: Path) -> str:
    """The stem of a file, in composed letters: file systems and archives differ in how they spell.

    Unicode has two spellings of many letters (NFC, NFD).
    """
    return unicodedata.normalize("NFC", path.stem)


class ManifestRow(NamedTuple):
    """A row as it stands.

    Attributes:
        line: Its number in the file.
        split: Of the column split, else of a path such as train/image/1.png that is there; '' for
            all of them.
        name: Stem of the file.
        cells: All of them by the heading, in small letters and without blanks around.
    """

    line: int
    split: str
    name: str
    cells: dict[str, str]

    @property
    def keys(self) -> list[tuple[str, str]]:
        """What read_manifest calls the slices that the row speaks of."""
        return [slice_key(split, self.name) for split in ([self.split] if self.split else SPLITS)]


def slice_key(split: str, stem: str) -> tuple[str, str]:
    """What read_manifest calls a slice: large and small letters, composed or not, are the same."""
    return split, _plain(stem)


def read_manifest(root: Path) -> dict[tuple[str, str], ManifestEntry]:
    """Entries of <root>/manifest.csv by slice_key, {} where there is none.

    Columns: `file` and `patient`; optional `split` and `spacing_mm`, one number for square px or
    height x width ("0.7x0.8", a third number is the distance of slices). A row without a split, or
    a manifest without that column, speaks for every split.

    Raises:
        UserError: As read_manifest_rows; or a row lacks its file or patient, or a spacing is no
            length.
    """
    entries = {}
    for row in read_manifest_rows(root):
        place = f"{root / 'manifest.csv'}:{row.line}"
        if not row.name or not row.cells.get("patient"):
            raise UserError(f"{place}: no file or no patient; fill it in")
        sides = _sides(row.cells.get("spacing_mm") or "", place)
        entries.update(dict.fromkeys(row.keys, ManifestEntry(row.cells["patient"], *sides)))
    return entries


def read_manifest_rows(root: Path) -> list[ManifestRow]:
    """The rows of <root>/manifest.csv, [] where there is none; blank ones are left out.

    Separators may be commas, semicolons, tabs or bars, paths those of Windows, headings in any
    letters; UTF-8 and, with its mark, UTF-16 are read.

    Raises:
        UserError: It is no such table, or lacks the column file or patient.
    """
    path = root / "manifest.csv"
    if not path.is_file():
        return []
    stored = {split: _stored_stems(root / split / "image") for split in SPLITS}
    rows = []
    for line, cells in _table(path):
        parts = re.split(r"[/\\]+", cells.get("file", ""))
        name = _stem(parts[-1])
        split = cells.get("split", "").lower() or _split_of(parts)
        if not cells.get("split") and _plain(name) not in stored.get(split, ()):
            split = ""
        rows.append(ManifestRow(line, split, name, cells))
    return rows


def unlisted_slices(root: Path, split: str, stems: Sequence[str]) -> list[str]:
    """The slices without a row, whose patients are told by their names; [] without a manifest.

    Args:
        root: The data folder.
        split: Of the slices.
        stems: Of their files.

    Raises:
        UserError: The manifest has a row for none of them, so that no patient would be known.
    """
    path = root / "manifest.csv"
    if not path.is_file():
        return []
    rows = read_manifest_rows(root)
    known = {key for row in rows for key in row.keys}
    unlisted = [stem for stem in stems if slice_key(split, stem) not in known]
    if stems and len(unlisted) == len(stems):
        first = f"its first row is of {rows[0].cells['file']!r}" if rows else "it has no row"
        raise UserError(
            f"{path}: names none of the {len(stems)} images of {split}: {first}, an image is "
            f"called {stems[0]!r}; mend the column file, or remove the manifest to tell patients "
            "by file names"
        )
    return unlisted


def _table(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells, by heading, of every row that is not blank."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore the file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8; save it as UTF-8 CSV") from error
    lines = text.splitlines()
    skipped = 1 if lines and re.fullmatch(r"sep=.", lines[0].strip()) else 0  # Excel's own line
    head = lines[skipped] if len(lines) > skipped else ""
    separator = max(_SEPARATORS, key=lambda mark: len(_NEEDED & set(_headings(head, mark))))
    columns = _headings(head, separator)
    if missing := _NEEDED - set(columns):
        raise UserError(f"{path}: no column {', '.join(sorted(missing))}; add it or the file")
    reader = csv.reader(lines[skipped + 1 :], delimiter=separator)
    try:
        for values in reader:
            if any(value.strip() for value in values):
                cells = zip(
                    columns, (unquote_cell(value.strip()) for value in values), strict=False
                )
                yield reader.line_num + skipped + 1, dict(cells)
    except csv.Error as error:
        line = reader.line_num + skipped + 1
        raise UserError(f"{path}:{line}: not a row of a table ({error}); mend it") from error


def _headings(line: str, separator: str) -> list[str]:
    try:
        return [cell.strip().lower() for cell in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error:
        return []


def _stem(name: str) -> str:
    """A name without the suffix of an image; other dots belong to it."""
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _split_of(parts: list[str]) -> str:
    """The split train of train/image/1.png and of train/1.png, '' of other paths."""
    folders = [part.strip().lower() for part in parts[:-1]]
    if folders[-1:] == ["image"]:
        folders.pop()
    return folders[-1] if folders and folders[-1] in SPLITS else ""


def _stored_stems(folder: Path) -> set[str]:
    found = folder.iterdir() if folder.is_dir() else ()
    return {_plain(path.stem) for path in found}


def _plain(stem: str) -> str:
    return unicodedata.normalize("NFC", stem).casefold()


def _sides(text: str, place: str) -> tuple[tuple[float, float] | None, float | None]:
    """Height and width of a px, and the distance of slices, in mm."""
    if not text.strip():
        return None, None
    try:
        sides = [float(side) for side in text.split("x")]
    except ValueError:
        sides = []
    if not 1 <= len(sides) <= 3 or not all(0 < side < 1000 for side in sides):
        raise UserError(f"{place}: spacing_mm {text!r}; write 0.7 or 0.7x0.8 (height x width, mm)")
    height, width, distance = {1: (*sides * 2, None), 2: (*sides, None)}.get(len(sides), sides)
    return (height, width), distance
