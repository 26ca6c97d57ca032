"""Pictures beside a DICOM series that are no slices: icons and screens of a disk's viewer."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from datasets.image_io import read_gray
from datasets.volumes import DicomSeries
from utils.errors import UserError

_DISK_FILES = ("dicomdir", "autorun.inf")
# A slice is not that much smaller than those of the series beside it.
_TINY = 4


def is_disk_file(path: Path) -> bool:
    """Whether a file stands at the top of a disk of images."""
    return path.name.lower() in _DISK_FILES


def find_disk_pictures(
    pictures: Sequence[Path], files: Iterable[Path], series: Sequence[DicomSeries]
) -> set[Path]:
    """The pictures that are no cases.

    On a disk, which a DICOMDIR or an AUTORUN.INF tells, these are all; elsewhere none, unless all
    are coloured or tiny.

    Args:
        pictures: Images among the files.
        files: All that were found.
        series: The scans among them; without any all pictures are cases.
    """
    headers = [header for one in series for header in one.headers]
    if not headers:
        return set()
    disks = {path.parent for path in files if is_disk_file(path)}
    rest = [path for path in pictures if disks.isdisjoint(path.parents)]
    side = min(min(header.size) for header in headers) / _TINY
    are_ornaments = all(_is_ornament(path, side) for path in rest)
    return set(pictures) - (set() if are_ornaments else set(rest))


def _is_ornament(path: Path, side: float) -> bool:
    """Whether a picture is coloured, or smaller than a side in px."""
    try:
        if max(read_gray(path, as_luma=True).shape) < side:
            return True
    except UserError:  # damaged, which is said where it is predicted
        return False
    try:
        read_gray(path)
    except UserError:
        return True
    return False
