"""From the files of public data sets to a data folder that appears whole or not at all."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.data_folder import (
    UNLABELLED,
    DataFolderWriter,
    DataSlice,
    FolderSummary,
)
from datasets.sources.file_tree import FileTree
from datasets.sources.generic import GENERIC
from datasets.sources.source import CaseSlice, Source
from preparation.checks.leaks import PlacedSlice, find_leaks, refuse_leaks
from preparation.checks.lone_slices import explain_lone_slices
from preparation.checks.mask_review import thumbnails_of
from preparation.checks.near_duplicates import find_near_duplicates, make_thumbnail
from preparation.conversion.cases import (
    NamedCase,
    card_notes,
    find_cases,
    have_common_labels,
    make_card,
    nothing_left,
)
from preparation.conversion.grouping import assign_splits, describe_groups, join_patients
from preparation.conversion.mask_check import MaskCheck, refuse_misplaced
from preparation.conversion.mask_orientation import oriented_slices
from preparation.conversion.official_folds import check_official, choose_folds
from preparation.conversion.options import ConversionOptions
from preparation.conversion.size import shrink_slice
from preparation.overview import describe_folder
from preparation.overview.grey_levels import FEW_LEVELS, describe_few_levels, num_levels
from utils.errors import UserError
from utils.files import whole_folder


class _Look(NamedTuple):
    """What is remembered of a written slice: its thumbnail and its source's own split."""

    thumbnail: np.ndarray
    own_split: str | None


def convert(
    sources: Sequence[tuple[Source, FileTree]],
    out: Path,
    options: ConversionOptions,
    progress: Callable[[Iterable], Iterable] | None = None,
) -> FolderSummary:
    """Write the cases of public data sets as one data folder, or as one per fold.

    Patients who share a near-duplicate slice (the same scan published twice) count as one when the
    splits are made. The folder appears when all is written, checked for leaks and described.

    Args:
        sources: The data sets, and their files.
        out: Folder to make; must not exist, or be empty.
        options: See there.
        progress: Wraps the list of cases, such as `tqdm.tqdm`.

    Raises:
        UserError: An option makes no sense, a file or mask is unfit (unless options.keep_going),
            nothing is left, the splits leak (unless options.allow_leak), or the disk is full.
    """
    options.check()
    definitions = [source for source, _ in sources]
    check_official(options.folds, definitions)
    cases = find_cases(sources)
    card = make_card(definitions, options.bits)
    with whole_folder(out) as partial, ThreadPoolExecutor() as pool:
        conversion = _Conversion(partial, pool, options, definitions)
        failures = []
        for case in progress(cases) if progress else cases:
            failures += conversion.write_case(case)
        left_out, mask_notes = conversion.check_masks(out)
        failures += left_out
        conversion.thin_out_empty()
        if not conversion.writer.written:
            raise UserError(nothing_left(cases, failures))
        (groups, notes), written = conversion.group_patients(), conversion.writer.written
        notes += conversion.check_levels(out)
        if options.folds is None:
            splits = assign_splits(written, groups, conversion.own_splits(), options)
            notes += conversion.check_leaks(out, splits)
            summary = conversion.writer.finish(splits, card)
            described = partial if set(splits.values()) - {UNLABELLED} else None
        else:
            folds, notes = choose_folds(written, groups, options, notes)
            summary = conversion.writer.finish_folds(folds, card)
            described = partial / "fold0"  # all folds hold the same slices
        if described and options.describe:
            describe_folder(described, partial)
    notes = (*card_notes(definitions), *mask_notes, *notes)
    return summary._replace(failures=tuple(failures), notes=notes)


class _Conversion:
    """A conversion under way: the writer, and what it has seen.

    Args:
        root: Where to write.
        pool: Threads that encode.
        options: See ConversionOptions.
        sources: Of the cases; labels keep their classes where these number them alike.
    """

    def __init__(
        self, root: Path, pool: Executor, options: ConversionOptions, sources: Sequence[Source]
    ) -> None:
        self.writer = DataFolderWriter(root, pool)
        self.most_levels = 0
        self._options, self._keep_classes = options, have_common_labels(sources)
        self._max_sides = {item.facts.name: options.side_for(item.max_side) for item in sources}
        self._looks: dict[str, _Look] = {}
        self._pairs: list[tuple[int, int]] = []
        self._masks = MaskCheck(options.mask_orientation)

    def write_case(self, case: NamedCase) -> list[str]:
        """Write the slices of a case; why it failed where the rest is to carry on."""
        names, seen = set[str](), []
        wanted = self._options.mask_orientation
        try:
            for stored in oriented_slices(case.case.read, self._options.bits, wanted):
                item = shrink_slice(stored, self._max_sides[case.source])
                thumbnail = make_thumbnail(item.image)
                lung = item.lung if self._options.lungs else None
                seen.append(thumbnails_of(item.image, thumbnail, item.label, lung))
                if self._options.keep_empty == "none" and _is_empty(item):
                    continue
                if self.most_levels < FEW_LEVELS:
                    self.most_levels = max(self.most_levels, num_levels(item.image))
                name = case.slice_name(item.index)
                factor = len(stored.image) / len(item.image)
                self.writer.add(self._data_slice(name, case, item, factor))
                self._looks[name] = _Look(thumbnail, case.case.split)
                names.add(name)
        except UserError as error:
            if not self._options.keep_going:
                raise
            self._drop(names)
            return [f"{case.source} {case.name}: {error}"]
        self._masks.add(case.source, case.case.patient, seen)
        return []

    def check_levels(self, out: Path) -> list[str]:
        """A note where no slice uses more than a few grey levels."""
        return [f"{out}: {describe_few_levels(self.most_levels)}"] * (self.most_levels < FEW_LEVELS)

    def check_masks(self, out: Path) -> tuple[list[str], list[str]]:
        """Refuse masks that lie wrong, or leave their patients out where the rest is to carry on.

        Returns:
            A line for all that was left out, and notes.
        """
        misplaced, notes = self._masks.review()
        if not self._options.keep_going:
            refuse_misplaced(out, misplaced)
        for wrong in misplaced:
            self._drop(
                {
                    item.name
                    for item in self.writer.written
                    if item.source == wrong.source
                    and item.patient in (wrong.patients or (item.patient,))
                }
            )
        return [wrong.message for wrong in misplaced], notes

    def thin_out_empty(self) -> None:
        """Leave as many slices without lesion as the options ask for, drawn by the seed."""
        ratio = self._options.keep_empty
        if isinstance(ratio, str):
            return
        written = self.writer.written
        empty = sorted(item.name for item in written if item.lesion_px == 0)
        num_kept = round(ratio * sum(bool(item.lesion_px) for item in written))
        order = np.random.default_rng(self._options.seed).permutation(len(empty))
        self._drop({empty[index] for index in order[num_kept:]})

    def group_patients(self) -> tuple[dict[str, str], list[str]]:
        """The group of every patient with labels, and notes on who is told apart from whom."""
        labelled = [item for item in self.writer.written if item.lesion_px is not None]
        patients = [item.patient for item in labelled]
        if labelled:
            thumbnails = np.stack([self._looks[item.name].thumbnail for item in labelled])
            self._pairs = find_near_duplicates(thumbnails, patients)
        tied = {(patients[i], patients[j]): (i, j) for i, j in reversed(self._pairs)}
        groups = join_patients(patients, tied)
        notes = describe_groups(groups, tied, labelled)
        own_files = [item for item in labelled if item.source == GENERIC]
        lone = explain_lone_slices(
            [item.name for item in own_files], [item.patient for item in own_files]
        )
        return groups, [lone, *notes] if lone else notes

    def own_splits(self) -> dict[str, str]:
        """The source's own split of every slice that has one."""
        return {name: look.own_split for name, look in self._looks.items() if look.own_split}

    def check_leaks(self, out: Path, splits: dict[str, str]) -> list[str]:
        """The warnings, if any; refuses a leak that is not allowed."""
        written = self.writer.written
        placed = [
            PlacedSlice(item.name, item.patient, splits[item.name])
            for item in written
            if item.lesion_px is not None
        ]
        leaks = find_leaks(placed, self._pairs)
        warnings = [refuse_leaks(out, leaks, allow=self._options.allow_leak)]
        pool = {item.patient for item in written if item.lesion_px is None}
        held_out = {item.patient for item in placed if item.split != "train"}
        if pool & held_out:
            warnings.append(
                f"{len(pool & held_out)} patients of val or test have slices in {UNLABELLED}, too: "
                f"leave these out when you learn from it: {', '.join(sorted(pool & held_out))}"
            )
        return [warning for warning in warnings if warning]

    def _data_slice(self, name: str, case: NamedCase, item: CaseSlice, factor: float) -> DataSlice:
        """What is written of a slice that was made smaller by a factor."""
        label, spacing = item.label, case.case.spacing()
        if label is not None and not self._keep_classes:
            label = (label > 0).astype(np.uint8)
        return DataSlice(
            name,
            case.case.patient,
            case.name,
            case.source,
            item.index,
            item.image,
            label,
            item.lung if self._options.lungs else None,
            item.edge,
            spacing and (spacing[0] * factor, spacing[1] * factor, *spacing[2:]),
        )

    def _drop(self, names: set[str]) -> None:
        self.writer.remove(names)
        for name in names:
            del self._looks[name]


def _is_empty(item: CaseSlice) -> bool:
    return item.label is not None and not item.label.any()
