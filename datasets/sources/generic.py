"""Any folder of NIfTI pairs, of image/mask pairs of PNG and the like, or of scans without masks."""

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from datasets.card import SourceFacts
from datasets.image_io import IMAGE_SUFFIXES
from datasets.intensity import LUNG_WINDOW, IntensityRule
from datasets.sources.dicom_case import dicom_case, find_dicom
from datasets.sources.file_tree import FileTree
from datasets.sources.generic_files import FoundPair, images_alone, pair_by_names, pair_by_pattern
from datasets.sources.image_case import (
    LOSSY_SUFFIXES,
    FoundSlice,
    MaskDecoder,
    above_half,
    by_value,
    image_case,
)
from datasets.sources.pairs import nothing_found
from datasets.sources.patterns import parse_pattern
from datasets.sources.source import Source, SourceCase
from datasets.sources.volume_case import volume_case
from utils.errors import UserError

GENERIC = "generic"
_NIFTI = (".nii", ".nii.gz")
_WHITE = 255
_EXPECTS = (
    "NIfTI volumes, or PNG, JPEG, BMP or TIFF images of 8 or 16 bits, with a mask for each of them",
    "in folders such as images/ and masks/, or imagesTr/ and labelsTr/, under equal names, or in "
    "one folder as NAME and NAME_mask, mask_NAME, NAME_seg or NAME_gt; lungs/ or NAME_lung is used",
    "or wherever patterns say, such as '{patient}/ct_{slice}.png' and '{patient}/gt_{slice}.png'",
    "a patient is what stands before the number of the slice, p07_z012, or a name with a number, "
    "patient8_IM00081, where no pattern says more; else every file counts as a patient",
)


class GenericOptions(NamedTuple):
    """What is known of the files.

    Attributes:
        image_pattern: Where images lie, as datasets.sources.patterns has it; None goes by the names
            of folders and files.
        mask_pattern: Where masks lie; given with image_pattern.
        lung_pattern: Where lung masks lie, if there are any.
        rule: For volumes, from their values to grey levels, None being Hounsfield units in the lung
            window. For images, None takes the whole range of their type as grey levels, and so does
            a rule of unit HU, which names the window that they were made with.
        labels: Class of every value of the masks; None is one class, written as 1 or 255.
        class_names: Name of every class.
        unlabelled: Whether images have no masks, and make a pool of the folder unlabelled; then
            DICOM series will do as well.
    """

    image_pattern: str | None = None
    mask_pattern: str | None = None
    lung_pattern: str | None = None
    rule: IntensityRule | None = None
    labels: Mapping[int, int] | None = None
    class_names: Mapping[int, str] | None = None
    unlabelled: bool = False


def generic_source(options: GenericOptions | None = None, tree: FileTree | None = None) -> Source:
    """A source of the user's own.

    Args:
        options: What is known of the files.
        tree: The files, by which the card knows the intensity rule where the options name none.

    Raises:
        UserError: A pattern makes no sense.
    """
    options = options or GenericOptions()
    rule = options.rule
    if tree is not None and rule is None and _holds_volumes(tree, options):
        rule = LUNG_WINDOW
    classes = sorted(set((options.labels or {1: 1}).values()) - {0})
    names = {1: "lesion"} if classes == [1] else {value: f"class {value}" for value in classes}
    return Source(
        facts=SourceFacts(GENERIC, "Files of your own", "as agreed with who they are from", ""),
        homepage="",
        size="",
        expects=_EXPECTS,
        labels={**names, **(options.class_names or {})},
        intensity=rule if rule is not None and rule.unit == "HU" else None,
        find_cases=partial(find_generic, options=options),
    )


def find_generic(tree: FileTree, options: GenericOptions) -> list[SourceCase]:
    """See Source.find_cases."""
    if _is_left_to_dicom(tree, options) and (series := find_dicom(tree)):
        return [dicom_case(one, options.rule or LUNG_WINDOW) for one in series]
    pairs = _find_pairs(tree, options)
    if _are_volumes(pairs):
        return _volume_cases(pairs, options)
    return _image_cases(pairs, options)


def _holds_volumes(tree: FileTree, options: GenericOptions) -> bool:
    return _is_left_to_dicom(tree, options) or _are_volumes(_find_pairs(tree, options))


def _is_left_to_dicom(tree: FileTree, options: GenericOptions) -> bool:
    """Whether a pool can be of DICOM series alone: there are neither NIfTI files nor images."""
    return options.unlabelled and not tree.with_suffix(*_NIFTI, *IMAGE_SUFFIXES)


def _find_pairs(tree: FileTree, options: GenericOptions) -> list[FoundPair]:
    """The pairs, all of volumes or all of images."""
    kinds = [tree.with_suffix(*_NIFTI), tree.with_suffix(*IMAGE_SUFFIXES)]
    patterns = [options.image_pattern, options.mask_pattern, options.lung_pattern]
    if options.unlabelled:
        found = [images_alone(files) for files in kinds]
    elif any(patterns):
        if not all(patterns[:2]) or len(set(patterns)) < len(patterns):
            raise UserError("patterns: give one for images and another for masks")
        parsed = [text and parse_pattern(text) for text in patterns]
        found = [pair_by_pattern(files, *parsed) for files in kinds]
    else:
        found = [pair_by_names(files) for files in kinds]
    volumes, images = found
    if volumes and images:
        raise UserError(
            f"--from {tree.root}: pairs of volumes ({volumes[0].image}) and of images "
            f"({images[0].image}); convert one kind at a time, by patterns or by folder"
        )
    if not volumes and not images:
        raise nothing_found(tree, [text for text in patterns if text] or _EXPECTS)
    return volumes or images


def _are_volumes(pairs: Sequence[FoundPair]) -> bool:
    return pairs[0].image.suffix in _NIFTI


def _volume_cases(pairs: Sequence[FoundPair], options: GenericOptions) -> list[SourceCase]:
    """A case per volume."""
    if options.image_pattern and "{slice}" in options.image_pattern:
        raise UserError(
            f"pattern {options.image_pattern!r}: a volume has no {{slice}}; use {{case}}"
        )
    return [
        volume_case(
            pair.case,
            pair.patient,
            image=pair.image,
            mask=pair.mask,
            lung=pair.lung,
            rule=options.rule or LUNG_WINDOW,
            labels=options.labels or {1: 1, _WHITE: 1},
            split=pair.split,
        )
        for pair in pairs
    ]


def _image_cases(pairs: Sequence[FoundPair], options: GenericOptions) -> list[SourceCase]:
    """A case per scan whose slices are there, or per single slice."""
    rule = None if options.rule is None or options.rule.unit == "HU" else options.rule
    decode = _choose_decoder(pairs, options)
    groups: dict[tuple[str, str, str | None, bool], list[FoundSlice]] = defaultdict(list)
    for pair in pairs:
        key = (pair.case, pair.patient, pair.split, pair.index is not None)
        groups[key].append(FoundSlice(pair.index or 0, pair.image, pair.mask, pair.lung))
    return [
        image_case(name, patient, slices, decode=decode, rule=rule, is_volume=is_scan, split=split)
        for (name, patient, split, is_scan), slices in groups.items()
    ]


def _choose_decoder(pairs: Sequence[FoundPair], options: GenericOptions) -> MaskDecoder:
    """How masks are read: by their values, or by half where they are JPEGs."""
    masks = [pair.mask for pair in pairs if pair.mask is not None]
    lossy = [mask for mask in masks if mask.suffix in LOSSY_SUFFIXES]
    if not lossy:
        return _one_class if options.labels is None else partial(by_value, classes=options.labels)
    if options.labels is not None or len(lossy) < len(pairs):
        raise UserError(
            f"{lossy[0]}: a JPEG does not keep the values of a mask; get the masks as PNG"
        )
    print(
        f"warning: {lossy[0]} and all other masks are JPEGs, which fray their borders; what lies "
        "above 128 counts as lesion; get the masks as PNG if you can",
        file=sys.stderr,
    )
    return above_half


def _one_class(pixels: np.ndarray) -> np.ndarray:
    """Class 1 of a mask of 0/1 or 0/255; a mask that holds both has values that mean something."""
    return by_value(pixels, {1: 1} if pixels.max() == 1 else {_WHITE: 1})
