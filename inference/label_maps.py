"""Masks and label maps beside scans and slices: no inputs, though they are stored as such."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datasets.image_io import read_gray
from datasets.units import is_label_map, sample_values
from datasets.volumes import DicomSeries, nifti_stem, open_nifti, read_nifti_shape
from utils.errors import UserError

_WORD = (
    r"\w*mask|seg|segmentation|label|labelmap|lesion|lung|infection|annotation|contour|roi|gt"
    r"|ground ?truth"
)
_NAME = re.compile(rf"(?:^|[^a-z])(?:{_WORD})s?(?![a-z])")
# Where the name says so, too: of lobes, vessels and organs there are many.
_MOST_CLASSES = 128


def find_label_maps(
    volumes: Sequence[Path], images: Sequence[Path], series: Sequence[DicomSeries]
) -> set[Path]:
    """The files among cases that are masks of others of them.

    Their name says so (scan_mask, seg-scan, labels), they are of the size of a scan or slice whose
    name says nothing of the kind, and they hold whole numbers of few values. A file that cannot be
    read is none.

    Args:
        volumes: NIfTI files.
        images: Files of single slices.
        series: DICOM.
    """
    named = [path for path in volumes if _is_named(nifti_stem(path))]
    found: set[Path] = set()
    if named:
        sizes = {_size(path) for path in set(volumes).difference(named)} - {None}
        sizes |= {_sorted(len(one.files), *one.headers[0].size) for one in series if one.headers}
        found |= {path for path in named if _size(path) in sizes and _is_map(path)}
    drawn = [path for path in images if _is_named(path.stem)]
    if drawn:
        slices = set(images).difference(drawn)
        found |= {path for path in drawn if _is_map_of_any(path, slices)}
    return found


def _is_named(stem: str) -> bool:
    return _NAME.search(stem.lower()) is not None


def _sorted(*sides: int) -> tuple[int, ...]:
    """A size whichever way the axes lie: labels often have lost their orientation."""
    return tuple(sorted(sides))


def _size(path: Path) -> tuple[int, ...] | None:
    try:
        return _sorted(*read_nifti_shape(path))
    except UserError:
        return None


def _is_map(path: Path) -> bool:
    try:
        with open_nifti(path) as volume:
            values = sample_values(volume)
    except UserError:
        return False
    return values.low == values.high or is_label_map(values, _MOST_CLASSES)


def _is_map_of_any(path: Path, slices: set[Path]) -> bool:
    """Whether a picture is a mask of the slice that its name begins or ends with."""
    own = [one for one in slices if one.parent == path.parent and one.stem in path.stem]
    try:
        mask = read_gray(path, as_luma=True)
        shapes = [read_gray(one, as_luma=True).shape for one in own]
    except UserError:
        return False
    return mask.shape in shapes and len(np.unique(mask)) <= _MOST_CLASSES // 16
