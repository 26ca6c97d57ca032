"""Slices as their files hold them, and the facts that are kept of each."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np

from datasets.image_io import read_gray
from datasets.pairing import SliceFiles
from utils.errors import UserError

_READ_AHEAD = 32  # slices; bounds the memory of a pass over a split of any length

Item = TypeVar("Item")
Result = TypeVar("Result")


class StoredSlice(NamedTuple):
    """The arrays of one slice, each (H, W) uint8 or uint16; edge and lung None without a file."""

    image: np.ndarray
    mask: np.ndarray
    edge: np.ndarray | None
    lung: np.ndarray | None


class SliceFacts(NamedTuple):
    """Height and width of a slice in px, and the grey values of its mask."""

    size: tuple[int, int]
    mask_values: frozenset[int]


def read_slice(files: SliceFiles) -> StoredSlice:
    """Decode the files of one slice; the mask is blank where there is none.

    Raises:
        UserError: A file is damaged, or sizes differ.
    """
    image = read_gray(files.image)
    others = [read_gray(path) if path else None for path in (files.mask, files.edge, files.lung)]
    for path, other in zip((files.mask, files.edge, files.lung), others, strict=True):
        if other is not None and other.shape != image.shape:
            raise UserError(
                f"{path}: {other.shape[0]} x {other.shape[1]} px, but {files.image} has "
                f"{image.shape[0]} x {image.shape[1]} px; both must have the same size"
            )
    if others[0] is None:
        others[0] = np.zeros(image.shape, np.uint8)
    return StoredSlice(image, *others)


def read_slices(slices: Sequence[SliceFiles]) -> Iterator[tuple[StoredSlice, SliceFacts]]:
    """Decode slices in their order, a few ahead in threads.

    Raises:
        UserError: A file is damaged, or sizes of a pair differ.
    """
    return map_ahead(_read_with_facts, slices)


def map_ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """What a function makes of every item, in their order, a few ahead in threads."""
    with ThreadPoolExecutor() as pool:
        pending = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > _READ_AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _read_with_facts(files: SliceFiles) -> tuple[StoredSlice, SliceFacts]:
    stored = read_slice(files)
    return stored, SliceFacts(stored.image.shape, frozenset(np.unique(stored.mask).tolist()))
