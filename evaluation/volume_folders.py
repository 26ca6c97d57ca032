"""Predicted volumes and masks of any tool that lie in two folders as NIfTI, scored as cases."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.classes import to_channels
from datasets.inspection import recognise_masks
from datasets.slice_names import patient_of_case
from datasets.volumes import Volume, describe_mismatch, nifti_stem, open_nifti
from evaluation.cases import Case, ScanPlace
from evaluation.map_folders import pair_files
from utils.errors import UserError
from utils.messages import count, first_of

_SUFFIXES = (".nii", ".nii.gz")
_MOST_LABELS = 15  # a volume of whole numbers above is one of grey levels
_WHITE = 255
_OVERSHOOT = 1e-3  # of probabilities that a header's slope makes

_Bar = Callable[[Iterable], Iterable]


class VolumePairs(NamedTuple):
    """Predicted volumes and masks of equal stem, sorted by it; and how they are written.

    Attributes:
        volumes: Predicted volumes.
        masks: Their masks, on the same voxels.
        lengths: Slices of each.
        lesion_values: Values of the masks that are lesion.
        pred_values: Values of the predictions that are lesion; () where they are probabilities.
        top: What is probability 1 in the latter.
        classes: Value by name of the classes that are told apart; {} where none are.
        has_spacing: Whether every header has a spacing.
    """

    volumes: list[Path]
    masks: list[Path]
    lengths: list[int]
    lesion_values: tuple[int, ...]
    pred_values: tuple[int, ...]
    top: float
    classes: dict[str, int]
    has_spacing: bool


class _Facts(NamedTuple):
    """What a pair holds: values of the mask and of the prediction, whole or not."""

    length: int
    mask_values: frozenset[int]
    pred_values: frozenset[int]
    low: float
    high: float
    is_whole: bool
    has_spacing: bool


def find_volume_pairs(
    volumes: Path,
    masks: Path,
    progress: _Bar,
    lesion_values: Sequence[int] | None = None,
    classes: Mapping[str, int] | None = None,
) -> VolumePairs:
    """Pair two folders by file stem and look through every volume.

    Args:
        volumes: Folder of predictions: labels, or probabilities of 0 to 1 or 0 to 255.
        masks: Folder of masks.
        progress: Shows a bar over the pairs.
        lesion_values: Values that mean lesion; None recognises 0/1 and 0/255.
        classes: Value by name of classes that are to be told apart, in masks and predictions.

    Raises:
        UserError: No such folder, no volumes, a file without its pair, volumes that do not lie on
            the same voxels, or values that make no sense; names the files.
    """
    pairs = pair_files(
        {"--volumes": volumes, "--masks": masks}, _volumes_by_stem, f"no volumes {_SUFFIXES}"
    )
    facts = []
    unfit = []
    for volume, mask in progress(list(zip(*pairs, strict=True))):
        found = _look(volume, mask)
        (unfit if isinstance(found, str) else facts).append(found)
    if unfit:
        raise UserError(f"{count(len(unfit), 'prediction')} beside their masks: {first_of(unfit)}")
    if classes:
        lesion = pred = tuple(classes.values())
        _check_values(pairs[1], [own.mask_values for own in facts], {0, *lesion}, "data.classes")
        _check_labels(pairs[0], facts)
        _check_values(pairs[0], [own.pred_values for own in facts], {0, *lesion}, "data.classes")
    else:
        values = [own.mask_values for own in facts]
        lesion = recognise_masks(pairs[1], values, lesion_values).lesion_values
        pred = _label_values(pairs[0], facts, lesion)
    top = _WHITE if max(own.high for own in facts) > 1 + _OVERSHOOT else 1
    return VolumePairs(
        *(*pairs, [own.length for own in facts], lesion, pred, top, dict(classes or {})),
        has_spacing=all(own.has_spacing for own in facts),
    )


class VolumeCases:
    """The slices of the pairs as cases, from feet to head; the prediction is the picture.

    Args:
        pairs: From find_volume_pairs.
    """

    has_scans = True

    def __init__(self, pairs: VolumePairs) -> None:
        self.pairs = pairs
        self.classes: Mapping[str, int] = pairs.classes
        self.has_spacing = pairs.has_spacing
        self._starts = np.cumsum([0, *pairs.lengths])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def cases(self, indices: Sequence[int] | None = None) -> Iterator[Case]:
        """Read the pairs one by one, a slice at a time; all slices, or those of the indices.

        Raises:
            UserError: A volume is damaged.
        """
        opened = None
        with ExitStack() as stack:
            for index in range(len(self)) if indices is None else indices:
                number = int(np.searchsorted(self._starts, index, side="right")) - 1
                if number != opened:
                    stack.close()
                    files = self.pairs.volumes[number], self.pairs.masks[number]
                    volume, mask = (stack.enter_context(open_nifti(path)) for path in files)
                    opened = number
                yield self._case(volume, mask, index - int(self._starts[number]))

    def _case(self, volume: Volume, mask: Volume, index: int) -> Case:
        name = nifti_stem(mask.path)
        target = mask.read_label(index)
        values = volume.read_slice(index)
        if self.pairs.pred_values:
            prob = np.isin(np.rint(values), self.pairs.pred_values).astype(np.float32)
        else:
            prob = np.clip(values / np.float32(self.pairs.top), 0, 1)
        distance, *spacing = mask.spacing
        case = Case(
            f"{name}_z{index:03d}",
            patient_of_case(name),
            np.rint(255 * prob).astype(np.uint8),
            prob,
            np.isin(target, self.pairs.lesion_values),
            tuple(spacing) if self.has_spacing else None,
            scan=ScanPlace(name, distance if self.has_spacing else None),
        )
        if not self.classes:
            return case
        order = [*self.classes.values()]
        pred, label = (
            to_channels(own.astype(np.uint16), order) for own in (np.rint(values), target)
        )
        channels = np.arange(1 + len(order))[:, None, None]
        return case._replace(class_prob=(pred == channels).astype(np.float32), label=label)


def _volumes_by_stem(folder: Path) -> dict[str, Path]:
    """The NIfTI files of a folder by stem."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.lower().endswith(_SUFFIXES) and not path.name.startswith("."):
            if (other := found.get(nifti_stem(path))) is not None:
                raise UserError(f"{path}: {other} has the same stem; keep one of the two")
            found[nifti_stem(path)] = path
    return found


def _look(volume_path: Path, mask_path: Path) -> _Facts | str:
    """What a pair holds; why it is none, with its names."""
    mask_values: set[int] = set()
    pred_values: set[int] = set()
    low, high, is_whole = np.inf, -np.inf, True
    with open_nifti(volume_path) as volume, open_nifti(mask_path) as mask:
        if mismatch := describe_mismatch(volume, mask):
            return f"{volume_path} {mismatch}"
        for index in range(len(mask)):
            mask_values.update(np.unique(mask.read_label(index)).tolist())
            values = volume.read_slice(index)
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            is_whole = is_whole and bool((values == np.rint(values)).all())
            if is_whole and len(pred_values) <= _WHITE:
                pred_values.update(np.unique(values).astype(int).tolist())
        places = volume.has_place and mask.has_place
        values = frozenset(mask_values), frozenset(pred_values)
        return _Facts(len(mask), *values, low, high, is_whole, places)


def _label_values(
    paths: Sequence[Path], facts: Sequence[_Facts], lesion_values: tuple[int, ...]
) -> tuple[int, ...]:
    """The values of the predictions that are lesion; () where they are probabilities."""
    values = frozenset().union(*(own.pred_values for own in facts))
    is_whole = all(own.is_whole for own in facts)
    top = max(own.high for own in facts)
    most = 1 + _OVERSHOOT if not is_whole and top <= 1 + _OVERSHOOT else _WHITE
    for path, own in zip(paths, facts, strict=True):
        if own.low < -_OVERSHOOT or own.high > most:
            raise UserError(
                f"{path}: values from {own.low:g} to {own.high:g}; give labels, or probabilities "
                "of 0 to 1 or 0 to 255"
            )
    if not is_whole or (top > _MOST_LABELS and values - {0, _WHITE}):
        return ()
    for binary in ((1,), (_WHITE,)):
        if values <= {0, *binary}:
            return binary
    _check_values(
        paths, [own.pred_values for own in facts], {0, *lesion_values}, "data.lesion_values"
    )
    return lesion_values


def _check_labels(paths: Sequence[Path], facts: Sequence[_Facts]) -> None:
    """Refuse probabilities where classes are to be told apart."""
    for path, own in zip(paths, facts, strict=True):
        if not own.is_whole or own.low < 0:
            raise UserError(
                f"{path}: values from {own.low:g} to {own.high:g}, which are no classes; leave out "
                "data.classes to score any lesion"
            )


def _check_values(
    paths: Sequence[Path], values: Sequence[frozenset[int]], known: set[int], setting: str
) -> None:
    """Refuse values that are no lesion and no class."""
    for path, own in zip(paths, values, strict=True):
        if unexpected := sorted(own - known):
            listed = first_of([str(value) for value in unexpected])
            raise UserError(f"{path}: unexpected values {listed}; name every value in {setting}")
