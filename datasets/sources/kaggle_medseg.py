"""Kaggle's covid-segmentation competition: the two MedSeg sets as .npy stacks.

images_medseg.npy holds the 100 slices, images_radiopedia.npy the 829 slices of the nine volumes one
after the other, without saying where one ends. masks_*.npy have four channels: ground glass,
consolidation, other lung, background. Where the first two overlap, consolidation is kept.

Intensity. As datasets.sources.medseg_slices, each stack having a window of its own: whether the
competition's values are Hounsfield units is nowhere said.
"""

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from datasets.card import SourceFacts
from datasets.intensity import IntensityRule
from datasets.sources.file_tree import FileTree, FoundFile
from datasets.sources.npy_stack import map_npy
from datasets.sources.pairs import files_by_key, nothing_found
from datasets.sources.percentiles import percentile_window
from datasets.sources.source import CONSOLIDATION, GROUND_GLASS, CaseSlice, Source, SourceCase
from utils.errors import UserError

_EXPECTS = (
    "images_medseg.npy with masks_medseg.npy, images_radiopedia.npy with masks_radiopedia.npy, or "
    "one of the pairs; test_images_medseg.npy has no labels and is not read",
    "nobody says which slices are of one patient: each of the 100 counts as a patient of its own, "
    "so a split may divide a patient, and the 829 of nine volumes count as one patient together",
)
_CHANNELS = 4


class _Files(NamedTuple):
    images: FoundFile
    masks: FoundFile


class _Stack(NamedTuple):
    """The arrays in the memory map, (slices, H, W) and (slices, H, W, 4), and the window."""

    images: np.ndarray
    masks: np.ndarray
    rule: IntensityRule


def find_cases(tree: FileTree) -> list[SourceCase]:
    """A case per slice of the 100, and one of the 829."""
    stacks = files_by_key(tree.with_suffix(".npy"), lambda file: file.stem.lower())
    cases = []
    for part in ("medseg", "radiopedia"):
        kinds = [stacks.get(f"{kind}_{part}") for kind in ("images", "masks")]
        if any(kinds) and not all(kinds):
            there = kinds[0] or kinds[1]
            raise UserError(f"{there}: its images or its masks are missing; add both or neither")
        if all(kinds):
            cases += _cases_of(_Files(*kinds), part)
    if not cases:
        raise nothing_found(tree, _EXPECTS)
    return cases


def _cases_of(files: _Files, part: str) -> list[SourceCase]:
    """The slices by themselves, or all of them as one."""
    count = len(_open(files).images)
    if part == "radiopedia":
        read = partial(_read, files, range(count))
        return [SourceCase("radiopaedia", "radiopaedia", read, num_slices=count)]
    names = [f"medseg_{index:03d}" for index in range(count)]
    return [
        SourceCase(name, name, partial(_read, files, [index]), num_slices=1, is_volume=False)
        for index, name in enumerate(names)
    ]


def _read(files: _Files, indices: range | list[int], bits: int) -> Iterator[CaseSlice]:
    """Slices of a stack."""
    stack = _open(files)
    for index in indices:
        values = _slice_of(files.images, stack.images, index)
        channels = np.asarray(stack.masks[index])
        unexpected = channels[(channels != 0) & (channels != 1)]
        if unexpected.size:
            raise UserError(
                f"{files.masks}: slice {index} holds {unexpected[0]:g}; expected 0 and 1 in "
                "four channels"
            )
        ground_glass, consolidation, other_lung = (channels[..., place] == 1 for place in range(3))
        label = ground_glass.astype(np.uint8)
        label[consolidation] = 2
        lung = ground_glass | consolidation | other_lung
        yield CaseSlice(index, stack.rule.apply(values, bits), label, lung)


@lru_cache(maxsize=2)
def _open(files: _Files) -> _Stack:
    """The arrays, unpacked once for all of their slices; they are gone with the memory maps."""
    images, masks = (map_npy(file) for file in files)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim != 3 or masks.shape != (*images.shape, _CHANNELS):
        sizes = " and ".join(" x ".join(map(str, array.shape)) for array in (images, masks))
        raise UserError(
            f"{files.masks}: does not fit {files.images}: {sizes}; expected slices x height x "
            "width, and the same with four channels"
        )
    try:
        rule = percentile_window(
            _slice_of(files.images, images, index) for index in range(len(images))
        )
    except ValueError as error:
        raise UserError(f"{files.images}: {error}") from error
    return _Stack(images, masks, rule)


def _slice_of(file: FoundFile, images: np.ndarray, index: int) -> np.ndarray:
    """(H, W) float32."""
    values = np.asarray(images[index], np.float32)
    if not np.isfinite(values).all():
        raise UserError(f"{file}: slice {index} holds NaN or infinite values; mend the file")
    return values


SOURCE = Source(
    facts=SourceFacts(
        name="kaggle-medseg",
        title="COVID-19 CT images segmentation (Kaggle competition)",
        licence="the rules of the competition, and CC0 1.0 for MedSeg's own files",
        citation=(
            "Jenssen and Sakinis, MedSeg Covid Dataset 1 and 2, figshare, 2021, "
            "doi:10.6084/m9.figshare.13521488 and doi:10.6084/m9.figshare.13521509"
        ),
    ),
    homepage="https://www.kaggle.com/c/covid-segmentation",
    size="929 slices",
    expects=_EXPECTS,
    labels={1: GROUND_GLASS, 2: CONSOLIDATION},
    intensity=None,
    find_cases=find_cases,
)
