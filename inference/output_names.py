"""How the files of a prediction are called, and how those of an earlier one are known by it."""

from collections.abc import Iterable
from pathlib import Path

IMAGE_MASK = "_mask.png"
IMAGE_ENDINGS = (IMAGE_MASK, "_prob.png", "_overlay.png")
CONTACT_SHEET = "contact_sheet.png"
MASK, PROB, SHEET, SEG = "_mask.nii.gz", "_prob.nii.gz", "_sheet.png", "_seg.dcm"
_SEVERITY = ("_severity.json", "_severity.csv", "_severity.html")
X_RAY_ENDINGS = (*IMAGE_ENDINGS, *_SEVERITY)
VOLUME_ENDINGS = (MASK, PROB, SHEET, SEG, *_SEVERITY)
# Whatever else of a case was moved or removed, two of these are a prediction's and nobody else's.
_TELLING = (IMAGE_ENDINGS, VOLUME_ENDINGS)
_LEAST = 2


def find_earlier_outputs(paths: Iterable[Path]) -> set[Path]:
    """The files among these that an earlier prediction has written.

    A name says so with at least one other of the same case beside it: a scan that is called
    x_mask.nii.gz and stands alone is none. Nor does the case need to be there: an output folder
    lies within the inputs, or beside them.
    """
    groups: dict[tuple[Path, int, str], list[Path]] = {}
    sheets = []
    for path in paths:
        if path.name == CONTACT_SHEET:
            sheets.append(path)
        for kind, endings in enumerate(_TELLING):
            ending = next((one for one in endings if path.name.endswith(one)), None)
            if ending:
                stem = path.name.removesuffix(ending)
                groups.setdefault((path.parent, kind, stem), []).append(path)
    found = {path for group in groups.values() if len(group) >= _LEAST for path in group}
    folders = {folder for path in found for folder in path.parents}
    return found | {sheet for sheet in sheets if sheet.parent in folders}
