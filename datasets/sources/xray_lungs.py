"""Montgomery and Shenzhen: chest X-rays, with and without tuberculosis, whose lungs were drawn.

No lesion is drawn in them, so the lungs are the target, class 1: what learns from this set finds
lungs, and its masks serve predict.py as --lung. The Montgomery set draws each lung in a folder of
its own, leftMask and rightMask; copies of it hold one mask of both. Images without a mask, of which
the Shenzhen set has a hundred, stay unlabelled.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from datasets.card import SourceFacts
from datasets.data_folder import UNLABELLED
from datasets.image_io import IMAGE_SUFFIXES
from datasets.radiographs import read_radiograph
from datasets.sources.file_tree import FileTree, FoundFile
from datasets.sources.image_case import above_half, read_beside, read_found, to_grey
from datasets.sources.pairs import files_by_key, nothing_found
from datasets.sources.radiographs import radiograph_source
from datasets.sources.source import CaseSlice, SourceCase
from utils.errors import UserError

_NAME = re.compile(r"((?:MCUCXR|CHNCXR)_\d+_[01])(_mask)?", re.IGNORECASE)
_SIDES = ("leftmask", "rightmask")
_MASKS = ("mask", "masks")
_EXPECTS = (
    "MCUCXR_*.png (Montgomery) and CHNCXR_*.png (Shenzhen), wherever they lie; masks of the same "
    "names or NAME_mask.png in a folder mask or masks, or halves in leftMask and rightMask",
    "the lungs are the target (class 1), as no lesion is drawn; every image is a patient",
)


def find_cases(tree: FileTree) -> list[SourceCase]:
    """The images, those without a mask unlabelled."""
    files = [file for file in tree.with_suffix(*IMAGE_SUFFIXES) if _NAME.fullmatch(file.stem)]
    parts = {kind: _in_folder(files, kind) for kind in _SIDES}
    whole = files_by_key((file for file in files if _is_whole_mask(file)), _key)
    images = files_by_key(
        (file for file in files if file.folder.lower() not in _SIDES and not _is_whole_mask(file)),
        _key,
    )
    if not images:
        raise nothing_found(tree, _EXPECTS)
    _refuse_lonely(images, {**parts, "mask": whole})
    cases = []
    for key, image in sorted(images.items()):
        masks = [whole[key]] if key in whole else [one[key] for one in parts.values() if key in one]
        read = partial(_read, image, masks)
        split = None if masks else UNLABELLED
        cases.append(SourceCase(key, key, read, num_slices=1, is_volume=False, split=split))
    return cases


def _key(file: FoundFile) -> str:
    """The name of an image, also of its mask."""
    return _NAME.fullmatch(file.stem)[1].upper()


def _is_whole_mask(file: FoundFile) -> bool:
    """Whether it is a mask of both lungs."""
    return file.folder.lower() in _MASKS or _NAME.fullmatch(file.stem)[2] is not None


def _in_folder(files: Sequence[FoundFile], folder: str) -> dict[str, FoundFile]:
    return files_by_key((file for file in files if file.folder.lower() == folder), _key)


def _refuse_lonely(
    images: Mapping[str, FoundFile], masks: Mapping[str, Mapping[str, FoundFile]]
) -> None:
    """Refuse a mask without an image, and half a mask without the other half."""
    for found in masks.values():
        for key in sorted(found.keys() - images.keys()):
            raise UserError(f"{found[key]}: there is no image {key}; add it, or remove the mask")
    left, right = (masks[side] for side in _SIDES)
    for key in sorted((left.keys() ^ right.keys()) - masks["mask"].keys()):
        here = left.get(key) or right[key]
        raise UserError(f"{here}: the mask of the other lung is missing; add it, or remove this")


def _read(image: FoundFile, masks: Sequence[FoundFile], bits: int) -> Iterator[CaseSlice]:
    """An image with the union of its masks."""
    stored = read_found(image, read=read_radiograph)
    label = np.zeros(stored.shape, np.uint8) if masks else None
    for mask in masks:
        pixels = read_beside(mask, image, stored.shape, palette=True)
        try:
            label |= above_half(pixels)
        except ValueError as error:
            raise UserError(f"{mask}: {error}") from error
    yield CaseSlice(0, to_grey(stored, None, bits), label)


SOURCE = radiograph_source(
    facts=SourceFacts(
        name="xray-lungs",
        title="Montgomery and Shenzhen: X-rays with lungs drawn",
        licence=(
            "as the U.S. National Library of Medicine says beside the files; masks of Shenzhen (of "
            "Stirenko et al., arXiv:1803.01199) CC BY-NC-SA 4.0"
        ),
        citation=(
            "Jaeger et al., Two public chest X-ray datasets for computer-aided screening of "
            "pulmonary diseases, Quantitative Imaging in Medicine and Surgery 4(6), 2014, "
            "doi:10.3978/j.issn.2223-4292.2014.11.20"
        ),
    ),
    homepage="https://lhncbc.nlm.nih.gov/LHC-downloads/downloads.html",
    size="138 images of Montgomery, 662 of Shenzhen, 566 of these with masks",
    expects=_EXPECTS,
    labels={1: "lung"},
    find_cases=find_cases,
)
