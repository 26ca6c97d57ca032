"""What is wrong with the images of a data folder, file by file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.card import DataCard
from datasets.data_folder import UNLABELLED
from datasets.image_io import IMAGE_SUFFIXES, read_gray
from datasets.inspection import recognise_masks
from datasets.manifest import stem_of
from preparation.checks.mask_review import SliceThumbnails, thumbnails_of
from preparation.checks.near_duplicates import make_thumbnail
from preparation.overview.grey_levels import num_levels
from utils.errors import UserError

_LOSSY = (".jpg", ".jpeg")
_BESIDE = ("mask", "mask_", "label", "lung")  # what may lie beside an image


class ListedSlice(NamedTuple):
    """An image, and by kind the files beside it."""

    name: str
    split: str
    image: Path
    beside: dict[str, Path]


class SplitFiles(NamedTuple):
    """A split, its folder and its slices."""

    name: str
    folder: Path
    slices: list[ListedSlice]


class SliceReport(NamedTuple):
    """What a look at one slice found.

    Attributes:
        problems: A line each.
        thumbnails: Of the image and its masks; None where the image cannot be read.
        mask_values: None where the mask is missing or unfit.
        lesion_px: None as mask_values.
        outside_px: Of lesion outside of the lung; None without a fit lung mask.
        num_levels: Grey levels that the image uses; None as thumbnail.
    """

    problems: list[str]
    thumbnails: SliceThumbnails | None = None
    mask_values: frozenset[int] | None = None
    lesion_px: int | None = None
    outside_px: int | None = None
    num_levels: int | None = None


def list_split(root: Path, name: str, problems: list[str]) -> SplitFiles:
    """The slices of a split; files without their partner are problems."""
    folder = root / name
    images = _list_images(folder / "image", problems)
    if not images:
        problems.append(f"{folder / 'image'}: no images ({', '.join(IMAGE_SUFFIXES)})")
    beside = {kind: _list_images(folder / kind, problems) for kind in _BESIDE}
    for kind, files in beside.items():
        for stem in sorted(set(files) - set(images)):
            problems.append(f"{files[stem]}: its image {folder / 'image' / stem}.* is missing")
        problems += [
            f"{path}: JPEG changes the values of a {kind} file; store it as PNG"
            for path in files.values()
            if path.suffix.lower() in _LOSSY
        ]
    if name != UNLABELLED:
        for stem in sorted(set(images) - set(beside["mask"])):
            problems.append(f"{images[stem]}: its mask {folder / 'mask' / stem}.* is missing")
    slices = [
        ListedSlice(
            stem, name, path, {kind: files[stem] for kind, files in beside.items() if stem in files}
        )
        for stem, path in sorted(images.items())
    ]
    return SplitFiles(name, folder, slices)


def report_slice(item: ListedSlice, card: DataCard | None) -> SliceReport:
    """Read all files of a slice."""
    problems: list[str] = []
    image = _read(item.image, problems)
    levels = None if image is None else num_levels(image)
    if image is not None:
        problems += _image_problems(item.image, image, card)
    pixels = {kind: _read(path, problems) for kind, path in item.beside.items()}
    for kind, values in pixels.items():
        if values is not None and image is not None and values.shape != image.shape:
            sizes = [" x ".join(map(str, side.shape)) for side in (values, image)]
            problems.append(
                f"{item.beside[kind]}: {sizes[0]} px, but {item.image} has {sizes[1]} px"
            )
            pixels[kind] = None
    mask, label, lung = (pixels.get(kind) for kind in ("mask", "label", "lung"))
    if label is not None:
        problems += _label_problems(item.beside["label"], label, mask, card)
    thumbnails = None
    if image is not None:
        thumbnails = thumbnails_of(image, make_thumbnail(image), mask, lung)
    if mask is None:
        return SliceReport(problems, thumbnails, num_levels=levels)
    return SliceReport(
        problems,
        thumbnails,
        frozenset(np.unique(mask).tolist()),
        int(np.count_nonzero(mask)),
        None if lung is None else int(np.count_nonzero((mask > 0) & (lung == 0))),
        levels,
    )


def explain_encodings(
    slices: Sequence[ListedSlice],
    reports: Sequence[SliceReport],
    lesion_values: Sequence[int] | None = None,
) -> list[str]:
    """Masks with unexpected values, and those of 0/1 among others of 0/255 or the reverse.

    Args:
        slices: Of one split.
        reports: Of the same.
        lesion_values: Grey values that mean lesion; None recognises 0/1 and 0/255.
    """
    problems, paths = [], {1: [], 255: []}
    for item, report in zip(slices, reports, strict=True):
        if report.mask_values is None:
            continue
        path = item.beside["mask"]
        try:
            recognise_masks([path], [report.mask_values], lesion_values)
        except UserError as error:
            problems.append(str(error))
            continue
        for value in report.mask_values & paths.keys():
            paths[value].append(path)
    if lesion_values is not None:
        return problems
    few, many = sorted(paths, key=lambda value: len(paths[value]))
    problems += [
        f"{path}: 0 and {few}, but most masks hold 0 and {many}; store all alike"
        for path in paths[few]
    ]
    return problems


def _list_images(folder: Path, problems: list[str]) -> dict[str, Path]:
    """The image files of a folder by stem."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
            continue
        stem = stem_of(path)
        if stem in found:
            problems.append(f"{path}: {found[stem]} has the same stem; keep one of the two")
        found.setdefault(stem, path)
    return found


def _read(path: Path, problems: list[str]) -> np.ndarray | None:
    try:
        return read_gray(path)
    except UserError as error:
        problems.append(str(error))
        return None


def _image_problems(path: Path, image: np.ndarray, card: DataCard | None) -> Iterator[str]:
    if image.min() == image.max():
        yield f"{path}: all px have the grey level {image.flat[0]}"
    bits = 8 * image.itemsize
    if card and card.bits != bits:
        yield f"{path}: {bits} bits, but dataset.json says {card.bits}"


def _label_problems(
    path: Path, label: np.ndarray, mask: np.ndarray | None, card: DataCard | None
) -> Iterator[str]:
    unknown = set(np.unique(label).tolist()) - {0, *card.labels} if card else set()
    if unknown:
        listed = ", ".join(map(str, sorted(unknown)[:8]))
        yield f"{path}: classes {listed} that dataset.json does not name"
    if mask is not None and ((label > 0) != (mask > 0)).any():
        yield f"{path}: marks other px than its mask"
