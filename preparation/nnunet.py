"""A data folder in the raw layout of nnU-Net v2, with the same patients in the same split.

Source: F. Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical
image segmentation", Nature Methods 18 (2021); layout of the tool's documentation, version 2.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datasets.card import DataCard, read_card
from datasets.classes import to_channels
from datasets.image_io import write_png
from datasets.inspection import MaskEncoding, inspect_slices
from datasets.intensity import IntensityRule
from datasets.pairing import SliceFiles
from datasets.scans import find_scans
from datasets.stored import StoredSlice, read_slice
from datasets.volumes import Volume, write_nifti
from preparation.overview.entries import SliceEntry, list_entries
from utils.errors import UserError
from utils.files import whole_folder, write_json
from utils.messages import first_of

SLICES, VOLUMES = "slices", "volumes"
SPLITS_FILE = "splits_final.json"
# File ending, and the reader of nnU-Net for it.
_FORMATS = {SLICES: (".png", "NaturalImage2DIO"), VOLUMES: (".nii.gz", "SimpleITKIO")}
_PLACES = {"train": "Tr", "val": "Tr", "test": "Ts"}

_Bar = Callable[[Iterable], Iterable]


class Export(NamedTuple):
    """What was written.

    Attributes:
        form: SLICES, a PNG each, or VOLUMES, a NIfTI file per scan.
        reason: Why the slices form no volumes; '' where they do, or nobody asked.
        cases: Names of the cases by split.
        labels: Value of every class by name, the background among them.
    """

    form: str
    reason: str
    cases: dict[str, list[str]]
    labels: dict[str, int]


class _Case(NamedTuple):
    """One case of nnU-Net: a slice, or all slices of a scan from the lowest to the highest."""

    name: str
    split: str
    slices: list[SliceFiles]
    distance: float | None


def export_nnunet(
    root: Path,
    out: Path,
    progress: _Bar,
    *,
    form: str | None = None,
    lesion_values: Sequence[int] | None = None,
    with_classes: bool = True,
) -> Export:
    """Write imagesTr, labelsTr, imagesTs, labelsTs, dataset.json and splits_final.json.

    Train and val go to Tr, and are the one fold of splits_final.json; test goes to Ts. Slices are
    copied as their grey levels; volumes are in HU where dataset.json knows the window, else in
    grey levels, with their spacing, slices from feet to head.

    Args:
        root: The data folder.
        out: A new folder.
        progress: Shows a bar over the cases.
        form: SLICES or VOLUMES; None takes volumes where all slices form some.
        lesion_values: Grey values that mean lesion; None recognises 0/1 and 0/255.
        with_classes: Whether classes that dataset.json names are labels of their own.

    Raises:
        UserError: It is no data folder, a file is unfit, two cases have one name, volumes are
            wanted and the slices form none, or `out` cannot be written.
    """
    card = read_card(root)
    entries = list_entries(root, card)
    if all(entry.split == "test" for entry in entries):
        raise UserError(f"{root}: has neither train nor val; nnU-Net needs cases to learn from")
    classes = _classes(card, entries) if with_classes else {}
    entries = [_with_target(entry, bool(classes)) for entry in entries]
    cases, reason = ([], "") if form == SLICES else _volumes(entries)
    if form == VOLUMES and reason:
        raise UserError(f"{root}: its slices form no volumes: {reason}; give --form slices")
    form = SLICES if form == SLICES or reason else VOLUMES
    if form == SLICES:
        cases = [_Case(e.files.name, e.split, [e.files], None) for e in entries]
    _check_names(cases)
    files = [entry.files for entry in entries]
    encoding = inspect_slices(files, lesion_values, classes=classes).encoding
    labels = {"background": 0} | {name: k for k, name in enumerate(classes or ["lesion"], 1)}
    names = {split: [c.name for c in cases if c.split == split] for split in _PLACES}
    export = Export(form, reason, names, labels)
    rule = card.intensity if card else None
    with whole_folder(out) as folder:
        for place in sorted({_PLACES[case.split] for case in cases}):
            for kind in ("images", "labels"):
                (folder / f"{kind}{place}").mkdir()
        for case in progress(cases):
            _write(folder, case, encoding, form, rule)
        write_json(folder / "dataset.json", _description(export, card))
        if names["train"] and names["val"]:
            folds = [{"train": names["train"], "val": names["val"]}]
            text = json.dumps(folds, indent=2, ensure_ascii=False)
            (folder / SPLITS_FILE).write_text(text + "\n", encoding="utf-8")
    return export


def _classes(card: DataCard | None, entries: Sequence[SliceEntry]) -> dict[str, int]:
    """Value of every class by name; {} where lesion is not divided."""
    if card is None or len(card.labels) < 2 or any(entry.label is None for entry in entries):
        return {}
    return {name: value for value, name in sorted(card.labels.items())}


def _with_target(entry: SliceEntry, has_classes: bool) -> SliceEntry:
    """A slice with what is learnt as its mask: its class map, or its lesions."""
    mask = entry.label if has_classes else entry.files.mask
    return entry._replace(files=entry.files._replace(mask=mask, edge=None, lung=None))


def _volumes(entries: Sequence[SliceEntry]) -> tuple[list[_Case], str]:
    """The scans, and '', or nothing and why they are no volumes."""
    cases = []
    for split in dict.fromkeys(entry.split for entry in entries):
        scans, reason = find_scans([own.files for own in entries if own.split == split])
        if reason:
            return [], reason
        cases += [_Case(scan.name, split, scan.slices, scan.distance) for scan in scans]
    return cases, ""


def _check_names(cases: Sequence[_Case]) -> None:
    """Refuse two cases of one name in the same folder."""
    seen: set[tuple[str, str]] = set()
    twice = []
    for case in cases:
        key = (_PLACES[case.split], case.name.casefold())
        twice += [case.name] if key in seen else []
        seen.add(key)
    if twice:
        raise UserError(f"two cases of one name in train and val: {first_of(twice)}; rename one")


def _write(
    folder: Path, case: _Case, encoding: MaskEncoding, form: str, rule: IntensityRule | None
) -> None:
    """Image and label of a case."""
    place, ending = _PLACES[case.split], _FORMATS[form][0]
    image = folder / f"images{place}" / f"{case.name}_0000{ending}"
    label = folder / f"labels{place}" / f"{case.name}{ending}"
    if form == SLICES:
        stored = read_slice(case.slices[0])
        write_png(image, stored.image)
        write_png(label, _label(stored, encoding))
        return
    first = read_slice(case.slices[0])
    like = _geometry(case, first.image.shape)
    is_hu = rule is not None and rule.unit == "HU"
    dtype = np.int16 if is_hu else first.image.dtype
    with write_nifti(image, like, dtype) as values, write_nifti(label, like, np.uint8) as labels:
        for index, files in enumerate(case.slices):
            stored = read_slice(files)
            if stored.image.shape != first.image.shape or stored.image.dtype != first.image.dtype:
                raise UserError(f"{files.image}: another size or depth than {case.slices[0].image}")
            values[index] = _to_hu(stored.image, rule) if is_hu else stored.image
            labels[index] = _label(stored, encoding)


def _label(stored: StoredSlice, encoding: MaskEncoding) -> np.ndarray:
    """(H, W) uint8: 0 background, classes from 1 without a gap."""
    if encoding.classes:
        return to_channels(stored.mask, encoding.lesion_values)
    return np.isin(stored.mask, encoding.lesion_values).astype(np.uint8)


def _to_hu(levels: np.ndarray, rule: IntensityRule) -> np.ndarray:
    """HU in the middle of each grey level's share of the window."""
    top = np.iinfo(levels.dtype).max
    return np.rint(levels.astype(np.float32) * ((rule.high - rule.low) / top) + rule.low)


def _geometry(case: _Case, size: tuple[int, int]) -> Volume:
    """A volume without voxels: slices to the head, rows to the back, columns to the left."""
    height, width = case.slices[0].spacing
    affine = np.diag([-width, -height, case.distance, 1.0])
    affine[:2, 3] = width * (size[1] - 1) / 2, height * (size[0] - 1) / 2
    stored = np.broadcast_to(np.uint8(0), (size[1], size[0], len(case.slices)))
    return Volume(case.name, Path(case.name), stored, affine)


def _description(export: Export, card: DataCard | None) -> Mapping[str, Any]:
    """What dataset.json says."""
    ending, reader = _FORMATS[export.form]
    is_hu = card is not None and card.intensity is not None and card.intensity.unit == "HU"
    description = {
        # "CT" has nnU-Net scale by the intensities of all cases; any other name, case by case.
        "channel_names": {"0": "CT" if is_hu else "grey levels"},
        "labels": export.labels,
        "numTraining": len(export.cases["train"]) + len(export.cases["val"]),
        "file_ending": ending,
        "overwrite_image_reader_writer": reader,
    }
    if card:
        description["licence"] = "; ".join(source.licence for source in card.sources)
        description["reference"] = "; ".join(source.citation for source in card.sources)
    return description
