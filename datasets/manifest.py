"""What manifest.csv says of a data folder's slices: patient and pixel spacing."""

import csv
import re
from pathlib import Path
from typing import NamedTuple

from utils.errors import UserError

SPLITS = ("train", "val", "test")
# patient_z012, patient_s012, patient-slice012: what stands before the slice number is the patient.
# A bare number stays, it may count patients; manifest.csv says who is who in such a folder.
_SLICE_NUMBER = re.compile(r"[_-](?:z|s|slice[_-]?)\d+$", re.IGNORECASE)


class ManifestEntry(NamedTuple):
    """One slice: its patient; height and width of a px in mm, None where nobody says."""

    patient: str
    spacing: tuple[float, float] | None


def patient_of_stem(stem: str) -> str:
    """The patient that a file's stem names: what stands before _z012, _s012 or _slice012."""
    return _SLICE_NUMBER.sub("", stem)


def read_manifest(root: Path) -> dict[tuple[str, str], ManifestEntry]:
    """Entries of <root>/manifest.csv by (split, file stem), {} where there is none.

    Columns: `file` and `patient`; optional `split` and `spacing_mm`, one number for square px or
    height x width ("0.7x0.8", a third number is the distance of slices). A row without a split, or
    a manifest without that column, speaks for every split.

    Raises:
        UserError: The file lacks the column file or patient, a row lacks its value, or a spacing
            is no length.
    """
    path = root / "manifest.csv"
    if not path.is_file():
        return {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8; save it as UTF-8 CSV") from error
    reader = csv.DictReader(lines)
    missing = {"file", "patient"} - set(reader.fieldnames or ())
    if missing:
        raise UserError(f"{path}: no column {', '.join(sorted(missing))}; add it or the file")
    entries = {}
    for row in reader:
        place = f"{path}:{reader.line_num}"
        if not row["file"] or not row["patient"]:
            raise UserError(f"{place}: no file or no patient; fill it in")
        entry = ManifestEntry(row["patient"], _spacing(row.get("spacing_mm") or "", place))
        for split in [row["split"]] if row.get("split") else SPLITS:
            entries[split, Path(row["file"]).stem] = entry
    return entries


def _spacing(text: str, place: str) -> tuple[float, float] | None:
    """Height and width of a px in mm."""
    if not text.strip():
        return None
    try:
        sides = [float(side) for side in text.split("x")]
    except ValueError:
        sides = []
    if not 1 <= len(sides) <= 3 or not all(0 < side < 1000 for side in sides):
        raise UserError(f"{place}: spacing_mm {text!r}; write 0.7 or 0.7x0.8 (height x width, mm)")
    return sides[0], sides[1 if len(sides) > 1 else 0]
