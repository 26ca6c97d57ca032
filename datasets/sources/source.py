"""What a public data set is to prepare.py: its terms, where its files are, and its cases."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from datasets.card import CT, SourceFacts
from datasets.intensity import IntensityRule
from datasets.sources.file_tree import FileTree

GROUND_GLASS, CONSOLIDATION, PLEURAL_EFFUSION = (
    "ground-glass opacity",
    "consolidation",
    "pleural effusion",
)


class CaseSlice(NamedTuple):
    """One slice of a case, converted.

    Attributes:
        index: Of the slice in its scan, from 0, from feet to head; in a stack of single slices its
            place in the stack.
        image: (H, W) uint8 or uint16 grey levels.
        label: (H, W) uint8, 0 background, else classes of the source's labels; None where nobody
            has labelled the slice, which then has the split unlabelled.
        lung: (H, W) bool; None without a lung mask.
        edge: (H, W) bool; None without an edge map of the source's own.
    """

    index: int
    image: np.ndarray
    label: np.ndarray | None
    lung: np.ndarray | None = None
    edge: np.ndarray | None = None


class SourceCase(NamedTuple):
    """One scan, or one single slice, of a source.

    Attributes:
        name: Of the scan, fit for a file name, unique within the source.
        patient: Who; cases of one patient are never divided.
        read: Opens the case and yields its slices in their order, one in memory at a time; takes
            the bits of the images, 8 or 16. Raises UserError for an unfit file.
        num_slices: How many it yields; None where that is not known before.
        is_volume: Whether it is a scan, whose files are called <name>_z<index>; else <name>.
        split: train, val or test where the source has a split of its own; unlabelled (see
            datasets.data_folder.UNLABELLED) for a case without labels, which stays out of all.
        spacing: Height and width of a px and distance of slices in mm, once read; None where
            nobody says. A function, because it is in the file's header.
    """

    name: str
    patient: str
    read: Callable[[int], Iterator[CaseSlice]]
    num_slices: int | None = None
    is_volume: bool = True
    split: str | None = None
    spacing: Callable[[], tuple[float, ...] | None] = lambda: None


class Download(NamedTuple):
    """A file with a direct link; its sums and its size in bytes where they are known."""

    url: str
    file: str
    sha256: str | None = None
    num_bytes: int | None = None
    md5: str | None = None


class Source(NamedTuple):
    """A public data set.

    Attributes:
        facts: Name (as on the command line), title, licence and citation.
        homepage: Where it is fetched from.
        size: Of the download, in words.
        expects: The files as downloaded, a line each.
        labels: Name of every class that its labels hold, from 1.
        intensity: The rule that maps Hounsfield units to its grey levels, for the card; None
            where they carry no Hounsfield scale.
        find_cases: The cases in a folder as downloaded. Raises UserError for a file without its
            partner, or where nothing is found (listing what is there).
        downloads: Direct links.
        modality: Of its images, as a card has it.
        max_side: Longer side, px, to which its images are made smaller where they are larger; None
            keeps the size that they have.
    """

    facts: SourceFacts
    homepage: str
    size: str
    expects: tuple[str, ...]
    labels: Mapping[int, str]
    intensity: IntensityRule | None
    find_cases: Callable[[FileTree], list[SourceCase]]
    downloads: tuple[Download, ...] = ()
    modality: str = CT
    max_side: int | None = None
