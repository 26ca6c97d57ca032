"""The MedSeg set of 100 axial slices, which comes as stacks of slices that are no scan.

Orientation. The stacks are shown upright by turning a stored slice by three quarters and mirroring
it, np.fliplr(np.rot90(stored[:, :, i], k=3)), which is its transpose: columns are the first stored
axis, rows the second. The header is not asked: what it says of a stack of slices means nothing.

Intensity. The slices were JPEGs; their author calls them not normalised to Hounsfield units
(ieee8023/covid-chestxray-dataset, issue 60). So one window of percentiles serves the whole stack,
and no scan in Hounsfield units can be brought to these grey levels.
"""

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from datasets.card import SourceFacts
from datasets.intensity import IntensityRule
from datasets.sources.file_tree import FileTree, FoundFile
from datasets.sources.image_case import by_value
from datasets.sources.pairs import files_by_key, nothing_found
from datasets.sources.percentiles import percentile_window
from datasets.sources.source import (
    CONSOLIDATION,
    GROUND_GLASS,
    PLEURAL_EFFUSION,
    CaseSlice,
    Download,
    Source,
    SourceCase,
)
from datasets.sources.volume_case import open_found
from datasets.volumes.volume import Volume
from utils.errors import UserError

_EXPECTS = (
    "tr_im.nii.gz and tr_mask.nii.gz; tr_lungmasks_updated.nii.gz of the set's page is used where "
    "it is there; val_im.nii.gz has no labels and is not read",
    "the 100 slices are of about 60 patients and nobody says who is who: every slice counts as a "
    "patient of its own, so a split may divide a patient",
)
_CLASSES = {1: 1, 2: 2, 3: 3}
_TRANSPOSED = np.diag([-1.0, -1.0, 1.0, 1.0])  # an axial view by it is stored[:, :, i].T
_DOWNLOADS = "https://ndownloader.figshare.com/files/"


class _Files(NamedTuple):
    image: FoundFile
    mask: FoundFile
    lung: FoundFile | None


class _Stack(NamedTuple):
    """The volumes in the memory map, and the window of the image."""

    image: Volume
    mask: Volume
    lung: Volume | None
    rule: IntensityRule


def find_cases(tree: FileTree) -> list[SourceCase]:
    """A case per slice of the stack."""
    stacks = files_by_key(tree.with_suffix(".nii", ".nii.gz"), _kind)
    if not stacks.keys() >= {"image", "mask"}:
        raise nothing_found(tree, _EXPECTS)
    files = _Files(stacks["image"], stacks["mask"], stacks.get("lung"))
    names = [f"medseg_{index:03d}" for index in range(len(_open(files).image))]
    return [
        SourceCase(name, name, partial(_read, files, index), num_slices=1, is_volume=False)
        for index, name in enumerate(names)
    ]


def _kind(file: FoundFile) -> str | None:
    """What a file of the set is; None for another one."""
    kinds = {"tr_im": "image", "tr_mask": "mask", "tr_lungmasks_updated": "lung"}
    return kinds.get(file.stem.lower())


def _read(files: _Files, index: int, bits: int) -> Iterator[CaseSlice]:
    """One slice of the stack."""
    stack = _open(files)
    try:
        label = by_value(stack.mask.read_label(index), _CLASSES)
    except ValueError as error:
        raise UserError(f"{files.mask}: slice {index}: {error}") from error
    image = stack.rule.apply(stack.image.read_slice(index), bits)
    lung = stack.lung and stack.lung.read_label(index) > 0
    yield CaseSlice(index, image, label, lung)


@lru_cache(maxsize=1)
def _open(files: _Files) -> _Stack:
    """The stacks, unpacked once for all of their slices; they are gone with the memory maps."""
    volumes = [None if file is None else _open_stack(file) for file in files]
    image = volumes[0]
    for file, volume in zip(files[1:], volumes[1:], strict=True):
        if volume is not None and volume.stored.shape != image.stored.shape:
            sizes = " against ".join(
                " x ".join(map(str, found.stored.shape)) for found in (volume, image)
            )
            raise UserError(f"{file}: another size than {files.image} ({sizes}); get both again")
    try:
        rule = percentile_window(image.read_slice(index) for index in range(len(image)))
    except ValueError as error:
        raise UserError(f"{files.image}: {error}") from error
    return _Stack(*volumes, rule)


def _open_stack(file: FoundFile) -> Volume:
    """A stack seen upright; its memory map outlives an unpacked file, which is unlinked here."""
    with open_found(file) as found:
        path = file.path if file.member is None else file.path / file.member
        return Volume(found.name, path, found.stored, _TRANSPOSED, found.slope, found.intercept)


SOURCE = Source(
    facts=SourceFacts(
        name="medseg-slices",
        title="MedSeg COVID-19 CT segmentation, 100 axial slices",
        licence="CC0 1.0, as its figshare record is quoted",
        citation=(
            "Jenssen and Sakinis, MedSeg Covid Dataset 1, figshare, 2021, "
            "doi:10.6084/m9.figshare.13521488"
        ),
    ),
    homepage="https://figshare.com/articles/dataset/MedSeg_Covid_Dataset_1/13521488",
    size="about 167 MB",
    expects=_EXPECTS,
    labels={1: GROUND_GLASS, 2: CONSOLIDATION, 3: PLEURAL_EFFUSION},
    intensity=None,
    find_cases=find_cases,
    downloads=(
        Download(f"{_DOWNLOADS}25953977", "tr_im.nii.gz", md5="54f82e3a9ac01bf6cc2300ca53d820ae"),
        Download(f"{_DOWNLOADS}25953980", "tr_mask.nii.gz", md5="d11996de45d06d332658115d8b3cf6fc"),
    ),
)
