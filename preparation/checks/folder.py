"""Everything that is wrong with a data folder, at once."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from datasets.card import X_RAYS, DataCard, read_card
from datasets.data_folder import UNLABELLED
from datasets.manifest import SPLITS
from datasets.stored import map_ahead
from preparation.checks.files import (
    SliceReport,
    SplitFiles,
    explain_encodings,
    list_split,
    report_slice,
)
from preparation.checks.leaks import Leaks, PlacedSlice, find_leaks_by_look
from preparation.checks.lone_slices import explain_lone_slices
from preparation.checks.mask_review import SliceThumbnails
from preparation.checks.misplaced import explain_misfits
from preparation.checks.records import check_manifest, check_split_list, read_patients
from preparation.overview.grey_levels import FEW_LEVELS, describe_few_levels
from utils.errors import UserError
from utils.messages import count

_MIN_OUTSIDE = 0.001  # share of the lesion beside the lung that is worth a note
_MOST_PAIRS = 20  # near duplicates that are named


class FolderCheck(NamedTuple):
    """What a look at a data folder found.

    Attributes:
        problems: A line each, naming the file.
        notes: What is worth knowing, but no fault.
        counts: A line per split.
    """

    problems: list[str]
    notes: list[str]
    counts: list[str]


def check_folder(root: Path) -> list[str]:
    """Every problem of a data folder, a line each, naming the file; [] for a sound one."""
    return inspect_folder(root).problems


def inspect_folder(
    root: Path,
    *,
    allow_leak: bool = False,
    lesion_values: Sequence[int] | None = None,
    progress: Callable[[Iterable], Iterable] | None = None,
) -> FolderCheck:
    """Look at every file of a data folder, never stopping at the first fault.

    Args:
        root: The data folder.
        allow_leak: Count patients and near-duplicate slices in two splits as notes.
        lesion_values: Grey values that mean lesion in the masks; None recognises 0/1 and 0/255.
        progress: Wraps the list of slices, such as `tqdm.tqdm`.
    """
    check = FolderCheck([], [], [])
    found = [split for split in (*SPLITS, UNLABELLED) if (root / split).is_dir()]
    if not found:
        folds = [str(path.parent) for path in sorted(root.glob("fold*/train"))]
        places = ", ".join(str(root / split) for split in SPLITS)
        hint = f"; look into {', '.join(folds)}" if folds else ""
        check.problems.append(f"{root}: no data folder, none of {places} is there{hint}")
        return check
    card = _read_card(root, check.problems)
    patients = read_patients(root, check.problems)
    splits = [list_split(root, split, check.problems) for split in found]
    slices = [item for split in splits for item in split.slices]
    looked = map_ahead(
        lambda item: report_slice(item, card), progress(slices) if progress else slices
    )
    reports = list(zip(slices, looked, strict=True))
    placed, thumbnails = [], []
    for item, report in reports:
        check.problems.extend(report.problems)
        if report.thumbnails is not None and item.split != UNLABELLED:
            patient = patients.of(item.split, item.name)
            placed.append(PlacedSlice(item.name, patient, item.split))
            thumbnails.append(report.thumbnails)
    for split in splits:
        own = [report for item, report in reports if item.split == split.name]
        check.problems.extend(explain_encodings(split.slices, own, lesion_values))
        _sum_up(split, own, len({patients.of(split.name, i.name) for i in split.slices}), check)
    check_manifest(root, splits, check.problems)
    if not (root / "manifest.csv").is_file():
        check.notes.append(f"{root}: no manifest.csv, so patients are told by the file names")
    check_split_list(root, splits, patients, check.problems)
    check.notes.extend(_lone_notes(root, placed, card))
    _find_misplaced(root, placed, thumbnails, card, check)
    _find_leaks(root, placed, thumbnails, check, allow_leak)
    return check


def _read_card(root: Path, problems: list[str]) -> DataCard | None:
    try:
        return read_card(root)
    except UserError as error:
        problems.append(str(error))
        return None


def _sum_up(
    split: SplitFiles, reports: Sequence[SliceReport], num_patients: int, check: FolderCheck
) -> None:
    """Count a split, and say what only all of its slices together tell."""
    words = f"{split.name}: {count(len(reports), 'slice')} of {count(num_patients, 'patient')}"
    most = max((report.num_levels or 0 for report in reports), default=0)
    if 0 < most < FEW_LEVELS:
        check.notes.append(f"{split.folder / 'image'}: {describe_few_levels(most)}")
    if split.name == UNLABELLED:
        check.counts.append(words)
        return
    readable = [report for report in reports if report.lesion_px is not None]
    num_empty = sum(report.lesion_px == 0 for report in readable)
    check.counts.append(f"{words}, {num_empty} without lesion")
    if readable and num_empty == len(readable):
        check.problems.append(f"{split.folder / 'mask'}: no mask shows a lesion")
    in_lung = [report for report in readable if report.outside_px is not None]
    lesion = sum(report.lesion_px for report in in_lung)
    outside = sum(report.outside_px for report in in_lung)
    if outside > _MIN_OUTSIDE * lesion:
        check.notes.append(
            f"{split.folder}: {outside / lesion:.1%} of the lesion px lie outside of the lung masks"
        )


def _lone_notes(root: Path, placed: Sequence[PlacedSlice], card: DataCard | None) -> list[str]:
    """Who cannot be told apart; of X-rays a patient may well have one."""
    if card is not None and card.modality in X_RAYS:
        return []
    lone = explain_lone_slices([i.name for i in placed], [i.patient for i in placed])
    return [f"{root}: {lone}"] if lone else []


def _find_misplaced(
    root: Path,
    placed: Sequence[PlacedSlice],
    thumbnails: Sequence[SliceThumbnails],
    card: DataCard | None,
    check: FolderCheck,
) -> None:
    """Say which masks lie wrong."""
    misplaced = explain_misfits(root, placed, thumbnails)
    check.problems.extend(misplaced.problems)
    if card is None or card.modality not in X_RAYS:  # of lesions on X-rays most lie on one side
        check.notes.extend(misplaced.suspicions)


def _find_leaks(
    root: Path,
    placed: Sequence[PlacedSlice],
    thumbnails: Sequence[SliceThumbnails],
    check: FolderCheck,
    allow_leak: bool,
) -> None:
    """Say what stands in two splits."""
    pictures = [item.image for item in thumbnails]
    leaks = find_leaks_by_look(placed, pictures) if placed else Leaks({}, ())
    (check.notes if allow_leak else check.problems).extend(_leak_lines(root, leaks))


def _leak_lines(root: Path, leaks: Leaks) -> list[str]:
    lines = [
        f"{root}: patient {name} stands in {' and '.join(found)}"
        for name, found in leaks.patients.items()
    ]
    lines += [
        f"{root}: {first} and {second} show the same slice of two patients"
        for first, second in leaks.duplicates[:_MOST_PAIRS]
    ]
    more = len(leaks.duplicates) - _MOST_PAIRS
    return lines + ([f"{root}: {more} more pairs of slices show the same"] if more > 0 else [])
