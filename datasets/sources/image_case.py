"""Cases whose slices are images of their own, PNG or JPEG, on the disk or in an archive."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.data_folder import UNLABELLED
from datasets.image_io import read_gray
from datasets.intensity import IntensityRule
from datasets.sources.file_tree import FoundFile
from datasets.sources.source import CaseSlice, SourceCase
from utils.errors import UserError

LOSSY_SUFFIXES = (".jpg", ".jpeg")
_HALF = 128  # what lies above is set, in masks of 0/255 that were resized or stored as JPEG

# Classes (H, W) uint8 from the values of a mask; raises ValueError for a value without a class.
MaskDecoder = Callable[[np.ndarray], np.ndarray]
Turn = Callable[[np.ndarray], np.ndarray]
ImageReader = Callable[[Path], np.ndarray]
_NUM_LISTED = 8


class FoundSlice(NamedTuple):
    """The files of one slice: its place in the case, its image, and what lies beside it."""

    index: int
    image: FoundFile
    mask: FoundFile | None
    lung: FoundFile | None = None
    edge: FoundFile | None = None


def above_half(pixels: np.ndarray) -> np.ndarray:
    """Class 1 where a mask of 0/255 lies above 128.

    Raises:
        ValueError: The mask is one of 0/1, in which nothing would.
    """
    if pixels.max() == 1:
        raise ValueError("values 0 and 1, but 0 and 255 are expected")
    return (pixels > _HALF).astype(np.uint8)


def by_value(pixels: np.ndarray, classes: Mapping[int, int]) -> np.ndarray:
    """Classes of a mask of exact values.

    Args:
        pixels: (H, W) integers.
        classes: Class of every value; 0 is background where it is not named.

    Raises:
        ValueError: A value has no class.
    """
    known = {0: 0, **classes}
    label, is_known = np.zeros(pixels.shape, np.uint8), np.zeros(pixels.shape, bool)
    for value, class_ in known.items():
        here = pixels == value
        label[here] = class_
        is_known |= here
    if not is_known.all():
        values = np.unique(pixels[~is_known])
        listed = ", ".join(map(str, values[:_NUM_LISTED].tolist()))
        more = f" and {len(values) - _NUM_LISTED} more" if len(values) > _NUM_LISTED else ""
        expected = ", ".join(map(str, sorted(known)))
        raise ValueError(f"unexpected mask values {listed}{more}; expected {expected}")
    return label


def image_case(
    name: str,
    patient: str,
    slices: Sequence[FoundSlice],
    *,
    decode: MaskDecoder = above_half,
    rule: IntensityRule | None = None,
    palette: bool = False,
    turn: Turn = np.asarray,
    is_volume: bool = False,
    split: str | None = None,
    read: ImageReader = read_gray,
) -> SourceCase:
    """A case of images; it can be sent to another process where `decode` can.

    Args:
        name: Of the case.
        patient: Who.
        slices: In any order, of different indices; any without a mask makes its split unlabelled.
        decode: How the masks are written.
        rule: From stored to grey levels; None takes the whole range of the image's type.
        palette: Whether masks may be coloured, the luma of a colour being what is decoded.
        turn: Brings stored slices upright: front on top, the patient's right on the left.
        is_volume: Whether the slices are of one scan.
        split: Of the source's own.
        read: How images are read; masks are grey or palette images at any rate.

    Returns:
        A case whose `read` raises UserError for a file that is damaged, coloured, of another size
        than its image, or with mask values that are not expected.

    Raises:
        UserError: Two slices have the same index.
    """
    ordered = sorted(slices, key=lambda files: files.index)
    _refuse_equal_indices(name, ordered)
    unlabelled = any(files.mask is None for files in slices)
    return SourceCase(
        name,
        patient,
        partial(_read_slices, ordered, decode, rule, palette, turn, read),
        num_slices=len(slices),
        is_volume=is_volume,
        split=UNLABELLED if unlabelled else split,
    )


def _refuse_equal_indices(name: str, ordered: Sequence[FoundSlice]) -> None:
    for former, files in itertools.pairwise(ordered):
        if former.index == files.index:
            raise UserError(
                f"{files.image}: {former.image} is the same slice, {files.index} of {name}; keep "
                "one of the two"
            )


def read_found(file: FoundFile, *, read: ImageReader = read_gray) -> np.ndarray:
    """An image by a reader of datasets.image_io. Its errors name the archive, not a copy."""
    with file.on_disk() as path:
        try:
            return read(path)
        except UserError as error:
            raise UserError(str(error).replace(str(path), str(file))) from error


def to_grey(pixels: np.ndarray, rule: IntensityRule | None, bits: int) -> np.ndarray:
    """Grey levels of `bits` from stored integers, by a rule or by the whole range of their type."""
    if rule is None:
        rule = IntensityRule("0-255", 0.0, float(np.iinfo(pixels.dtype).max))
    return rule.apply(pixels, bits)


def _read_slices(
    slices: Sequence[FoundSlice],
    decode: MaskDecoder,
    rule: IntensityRule | None,
    palette: bool,
    turn: Turn,
    read: ImageReader,
    bits: int,
) -> Iterator[CaseSlice]:
    """The slices with all that lies beside them."""
    for files in slices:
        stored = read_found(files.image, read=read)
        label = None
        if files.mask is not None:
            pixels = read_beside(files.mask, files.image, stored.shape, palette)
            try:
                label = decode(pixels)
            except ValueError as error:
                raise UserError(f"{files.mask}: {error}") from error
        lung, edge = (
            None if file is None else _is_set(file, read_beside(file, files.image, stored.shape))
            for file in (files.lung, files.edge)
        )
        arrays = (to_grey(stored, rule, bits), label, lung, edge)
        yield CaseSlice(
            files.index,
            *(None if array is None else np.ascontiguousarray(turn(array)) for array in arrays),
        )


def read_beside(
    file: FoundFile, image: FoundFile, shape: tuple[int, ...], palette: bool = False
) -> np.ndarray:
    """A mask of the size of its image."""
    pixels = read_found(file, read=partial(read_gray, as_luma=palette))
    if pixels.shape != shape:
        sizes = " against ".join(f"{width} x {height}" for height, width in (pixels.shape, shape))
        raise UserError(f"{file}: another size than {image} ({sizes} px); pair the right files")
    return pixels


def _is_set(file: FoundFile, pixels: np.ndarray) -> np.ndarray:
    """Where a mask without classes is set; a JPEG has noise around 0."""
    return pixels > (_HALF if file.suffix in LOSSY_SUFFIXES else 0)
