"""The paper's own data set: 4,449 slices from two sources, 4,000 for training and 449 for testing.

Section 4.1 joins [32], https://medicalsegmentation.com/covid19/ ("more than 900 CT images, among
them about 400 slices with infections"), and [33], the 20 scans of the COVID-19-CT-Seg benchmark.
[32] are two sources here: medseg-slices, 100 slices, and medseg-volumes, 9 volumes of 829 slices.
[33] is covid-ct-seg, 20 volumes of 3,520 slices. 100 + 829 + 3,520 = 4,449, the paper's number; the
3,686 that it prints for [33] fit neither this sum nor "more than 900". A download with a scan more
or less has another number: the shares 4,000 and 449 of 4,449 are then taken of what is there.

Protocols: by default, patients are dealt out (see splits.py), as slices of one patient on both
sides make a test easy. With allow_leak the paper's is followed: slices are drawn at random, and the
part for testing is written as val, on which the paper also selects; a test falls back to it. Twins
(two scans of one patient in [33], and Radiopaedia scans that stand in [32] and [33]) stay together
in the first.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from datasets.data_folder import FolderSummary
from datasets.sources.file_tree import FileTree
from datasets.sources.source import Source
from preparation.conversion.convert import convert
from preparation.conversion.options import ConversionOptions
from utils.errors import UserError

PAPER_SOURCES = ("medseg-slices", "medseg-volumes", "covid-ct-seg")
NUM_TRAIN, NUM_TEST = 4000, 449
NUM_SLICES = NUM_TRAIN + NUM_TEST


def convert_paper(
    sources: Mapping[str, Source],
    root: Path,
    out: Path,
    options: ConversionOptions,
    progress: Callable[[Iterable], Iterable] | None = None,
) -> FolderSummary:
    """Write the paper's data set.

    Args:
        sources: All sources by name.
        root: A folder that holds one folder, as downloaded, for each name in PAPER_SOURCES.
        out: See convert.
        options: allow_leak stands for the paper's split by slice; fractions and own_split have no
            effect on it.
        progress: See convert.

    Raises:
        UserError: See convert; or one of the folders is missing.
    """
    pairs = []
    for name in PAPER_SOURCES:
        places = [root / name, root / f"{name}.zip"]
        place = next((place for place in places if place.exists()), None)
        if place is None:
            raise UserError(
                f"--from {root}: no folder {name} in it; put the files of each of "
                f"{', '.join(PAPER_SOURCES)} into a folder of that name"
            )
        pairs.append((sources[name], FileTree(place)))
    summary = convert(pairs, out, paper_options(options), progress)
    return summary._replace(notes=(_compare(summary), *summary.notes))


def paper_options(options: ConversionOptions) -> ConversionOptions:
    """The options, with the paper's split by slice where leaks are allowed and no folds wanted."""
    if not options.allow_leak or options.folds is not None:
        return options
    fractions = (NUM_TRAIN / NUM_SLICES, NUM_TEST / NUM_SLICES, 0.0)
    return options._replace(by_slice=True, fractions=fractions)


def _compare(summary: FolderSummary) -> str:
    """The numbers of slices beside those of the paper."""
    found = ", ".join(f"{split} {count:,}" for split, count in summary.slices_per_split.items())
    return (
        f"{summary.num_slices:,} slices ({found}); the paper has {NUM_SLICES:,}, {NUM_TRAIN:,} for "
        f"training and {NUM_TEST} for testing, drawn by slice"
    )
