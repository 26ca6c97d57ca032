"""Lung masks of a data folder that has none, derived from its slices."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datasets.card import X_RAYS, read_card
from datasets.image_io import write_png
from datasets.intensity import IntensityRule
from datasets.manifest import SPLITS, read_manifest_rows, slice_key
from datasets.pairing import LUNG_FOLDERS, SliceFiles, find_slices
from datasets.slice_names import place_of_stem
from datasets.stored import StoredSlice, read_slice
from utils.errors import UserError
from utils.files import whole_folder

# Levels (n, H, W), lesion, window and spacing (mm) of the slices of a scan give its lungs or None.
FindLungs = Callable[
    [NDArray, NDArray, IntensityRule, tuple[float, float, float]], NDArray[np.bool_] | None
]
# Where no manifest says: the usual field of view of a chest CT, and the usual distance of slices.
_FIELD_OF_VIEW_MM, _DISTANCE_MM = 350.0, 5.0
_WINDOW_HU = (-960, -320)  # what the segmentation has to tell apart


class DerivedLungs(NamedTuple):
    """What became of a data folder.

    Attributes:
        num_scans: Scans, as far as their slices tell.
        num_slices: Lung masks written, by split.
        without: Scans in which no lung was found; their slices have no mask.
        num_given: Slices that have a lung mask of their own, too.
        dice: Of the derived masks with these, pooled over their pixels; None without any.
    """

    num_scans: int
    num_slices: dict[str, int]
    without: list[str]
    num_given: int
    dice: float | None


class _Place(NamedTuple):
    """Where a slice lies in its scan."""

    split: str
    files: SliceFiles
    index: int


def derive_lungs(
    root: Path,
    find: FindLungs,
    window: tuple[float, float] | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> DerivedLungs:
    """Write <split>/lung_derived of all splits, or nothing at all.

    Args:
        root: A data folder of CT slices.
        find: The segmentation.
        window: HU that are black and white; None takes what dataset.json says.
        progress: Wraps the list of scans, such as `tqdm.tqdm`.

    Raises:
        UserError: The window is not known or too narrow, a file is unfit, there are derived masks
            already, or the disk is full.
    """
    rule = _window(root, window)
    splits = [split for split in SPLITS if (root / split).is_dir()]
    scans = _scans(root, splits or ["train"])
    found = DerivedLungs(len(scans), dict.fromkeys(splits, 0), [], 0, None)
    num_given, overlap, total = 0, 0, 0
    places_of = {split: root / split / LUNG_FOLDERS["derived"] for split in splits}
    for place in places_of.values():
        if place.exists():
            raise UserError(f"{place}: is there already; remove it to find the lungs anew")
    with ExitStack() as stack:
        out = {split: stack.enter_context(whole_folder(p)) for split, p in places_of.items()}
        for name, places in progress(scans.items()):
            stored = [read_slice(place.files) for place in places]
            lungs = _find(places, stored, find, rule)
            if lungs is None:
                found.without.append(name)
                continue
            for place, item, lung in zip(places, stored, lungs, strict=True):
                path = out[place.split] / f"{place.files.name}.png"
                write_png(path, lung.astype(np.uint8) * 255)
                found.num_slices[place.split] += 1
                if item.lung is not None:
                    num_given += 1
                    overlap += 2 * np.count_nonzero(lung & (item.lung > 0))
                    total += np.count_nonzero(lung) + np.count_nonzero(item.lung)
    return found._replace(num_given=num_given, dice=overlap / total if total else None)


def _window(root: Path, window: tuple[float, float] | None) -> IntensityRule:
    """The window in HU that the slices were made with."""
    card = read_card(root)
    if card is not None and card.modality in X_RAYS:
        raise UserError(f"{root}: chest X-rays, but lungs can be found in CT alone")
    rule = IntensityRule("HU", *window) if window else card and card.intensity
    if rule is None or rule.unit != "HU":
        raise UserError(
            f"{root}: nothing says which window of Hounsfield units its grey levels are, so lungs "
            "cannot be found; name it with --window LOW HIGH (CT alone)"
        )
    low, high = _WINDOW_HU
    if rule.low > low or rule.high < high:
        raise UserError(
            f"{root}: a window of {rule.low:g} to {rule.high:g} HU is too narrow to find lungs; it "
            f"has to reach from {low} to {high} HU"
        )
    return rule


def _scans(root: Path, splits: list[str]) -> dict[str, list[_Place]]:
    """The slices of each scan and size in their order; of all splits, should one be divided."""
    rows = {key: row.cells for row in read_manifest_rows(root) for key in row.keys}
    scans: dict[str, list[_Place]] = defaultdict(list)
    for split in splits:
        for files in find_slices(root, split):
            cells = rows.get(slice_key(split, files.name), {})
            scan, index = place_of_stem(files.name) or (files.name, 0)
            if (cells.get("slice") or "").isdecimal():
                scan, index = cells.get("case") or scan, int(cells["slice"])
            scans[scan].append(_Place(split, files, index))
    return {name: sorted(scans[name], key=lambda place: place.index) for name in sorted(scans)}


def _find(
    places: list[_Place], stored: list[StoredSlice], find: FindLungs, rule: IntensityRule
) -> NDArray[np.bool_] | None:
    """The lungs of a scan's slices."""
    shapes = {item.image.shape for item in stored}
    if len(shapes) > 1:
        sizes = ", ".join(f"{height} x {width} px" for height, width in sorted(shapes))
        raise UserError(
            f"{places[0].files.image}: slices of its scan have several sizes ({sizes}); name the "
            "scans in manifest.csv, column case"
        )
    side = _FIELD_OF_VIEW_MM / stored[0].image.shape[1]
    steps = np.diff([place.index for place in places])
    step = max(float(np.median(steps)), 1.0) if len(steps) else 1.0
    distance = step * (places[0].files.distance or _DISTANCE_MM)
    levels = np.stack([item.image for item in stored])
    lesion = np.stack([item.mask > 0 for item in stored])
    return find(levels, lesion, rule, (distance, *(places[0].files.spacing or (side, side))))
