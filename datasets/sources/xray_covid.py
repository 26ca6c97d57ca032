"""COVID-19 Chest X-ray Segmentations: lungs and lesions as crops that belong somewhere in an image.

A row of structure.csv is one drawing of one image: its class, and a crop in colours on black that
belongs at Left, Top. Rows without a crop name what was seen and not drawn. What is made of them:

- Ground-glass opacities, consolidation and pleural effusion are lesions. Where drawings overlap,
  consolidation hides ground glass, and effusion both. All other classes (heart, airways, tubes,
  lines, probes, pneumothorax) are no lesion.
- The lung mask is the union of left and right lungs; an image that lacks one of them has none.
- An image whose lungs were drawn and that has no row of a lesion was looked at and counts as
  healthy. Of the 60 images that this was decided on, 58 have a lesion; the other two have lungs,
  heart and airways drawn as all others have, and show no opacity.
- An image without any drawing of lungs or lesions, or with a row of a lesion that was not drawn,
  is unlabelled.
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PureWindowsPath
from typing import NamedTuple

import numpy as np

from datasets.card import SourceFacts
from datasets.data_folder import UNLABELLED
from datasets.image_io import read_painted
from datasets.radiographs import read_radiograph
from datasets.sources.file_tree import FileTree, FoundFile
from datasets.sources.image_case import read_found, to_grey
from datasets.sources.pairs import files_by_key, nothing_found
from datasets.sources.radiographs import images_below, radiograph_source
from datasets.sources.source import (
    CONSOLIDATION,
    GROUND_GLASS,
    PLEURAL_EFFUSION,
    CaseSlice,
    SourceCase,
)
from utils.errors import UserError

LABELS = {1: GROUND_GLASS, 2: CONSOLIDATION, 3: PLEURAL_EFFUSION}
_LESIONS = {"ground glass opacities": 1, "consolidation": 2, "pleural effusion": 3}
_LUNGS = ("left lung", "right lung")
_PREFIX = re.compile(r"^\s*covid-?19\s+", re.IGNORECASE)
_STRUCTURE, _METADATA = "structure.csv", "metadata.csv"
_PLACE = ("Left", "Top", "Width", "Height")
_EXPECTS = (
    "structure.csv (a row per drawing: Class, Filename, Mask, Left, Top, Width, Height), "
    "metadata.csv (patientid, filename), images/* and masks/*.png",
    "images whose lungs were drawn and that have no row of a lesion count as healthy",
)


class _Drawing(NamedTuple):
    """A row of structure.csv.

    Attributes:
        line: Where it stands.
        name: Of its class, in small letters.
        mask: Path of its crop as the row has it; empty where it was not drawn.
        crop: The file; None where there is none.
        box: Left, top, width and height as the row has them.
    """

    line: int
    name: str
    mask: str
    crop: FoundFile | None
    box: tuple[str, ...]


def find_cases(tree: FileTree) -> list[SourceCase]:
    """See Source.find_cases; an image or a crop that is missing fails its own case alone."""
    images = files_by_key(images_below(tree, "images"), lambda file: file.name)
    if not images:
        raise nothing_found(tree, _EXPECTS)
    structure, metadata = (_only(tree, name) for name in (_STRUCTURE, _METADATA))
    patients = {
        row["filename"]: row["patientid"] for _, row in _rows(metadata, ("patientid", "filename"))
    }
    drawings: dict[str, list[_Drawing]] = defaultdict(list)
    crops = {file.place.name: file for file in tree.with_suffix(".png") if file.folder == "masks"}
    for line, row in _rows(structure, ("Class", "Filename", "Mask", *_PLACE)):
        name, crop = _PREFIX.sub("", row["Class"]).lower(), PureWindowsPath(row["Mask"]).name
        box = tuple(row[side] for side in _PLACE)
        drawing = _Drawing(line, name, row["Mask"], crops.get(crop), box)
        drawings[row["Filename"]].append(drawing)
    return [
        _case(structure, name, images.get(name), patients.get(name), drawings.get(name, ()))
        for name in sorted({*images, *drawings})
    ]


def _only(tree: FileTree, name: str) -> FoundFile:
    """The one file of that name."""
    found = [file for file in tree.files if file.name.lower() == name]
    if len(found) != 1:
        raise UserError(
            f"--from {tree.root}: holds {len(found)} files {name}; one is needed beside images/"
        )
    return found[0]


def _rows(table: FoundFile, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and cells of every row."""
    with table.on_disk() as path:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{table}: cannot be read ({error}); download it again") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if missing := [name for name in needed if name not in (reader.fieldnames or ())]:
        raise UserError(f"{table}: no column {', '.join(missing)}; download it again")
    for row in reader:
        yield reader.line_num, {name: (row[name] or "").strip() for name in needed}


def _case(
    structure: FoundFile,
    name: str,
    image: FoundFile | None,
    patient: str | None,
    drawings: Sequence[_Drawing],
) -> SourceCase:
    """An image; what is wrong with it is said when it is read."""
    stem = name.rpartition(".")[0] or name
    if image is None:
        problem = f"{structure}:{drawings[0].line}: there is no images/{name}; download it again"
    elif not patient:
        problem = f"{image}: {_METADATA} does not say whose it is; add a row with its patientid"
    else:
        problem = None
    return SourceCase(
        stem,
        f"patient_{patient}",
        partial(_refuse, problem) if problem else partial(_read, structure, image, drawings),
        num_slices=1,
        is_volume=False,
        split=None if _is_labelled(drawings) else UNLABELLED,
    )


def _refuse(problem: str, bits: int) -> Iterator[CaseSlice]:
    raise UserError(problem)


def _is_labelled(drawings: Sequence[_Drawing]) -> bool:
    """Whether all lesions were drawn, and somebody has looked."""
    relevant = [item for item in drawings if item.name in (*_LESIONS, *_LUNGS)]
    return bool(relevant) and all(item.mask for item in relevant if item.name in _LESIONS)


def _read(
    structure: FoundFile, image: FoundFile, drawings: Sequence[_Drawing], bits: int
) -> Iterator[CaseSlice]:
    """The image with its crops laid in their places."""
    stored = read_found(image, read=read_radiograph)
    label = np.zeros(stored.shape, np.uint8)
    lungs: dict[str, np.ndarray] = {}
    for item in sorted(drawings, key=lambda item: _LESIONS.get(item.name, 0)):
        if not item.mask or item.name not in (*_LESIONS, *_LUNGS):
            continue
        place, painted = _lay(structure, image, stored.shape, item)
        if item.name in _LESIONS:
            label[place][painted] = _LESIONS[item.name]
        else:
            lungs.setdefault(item.name, np.zeros(stored.shape, bool))[place] |= painted
    yield CaseSlice(
        0,
        to_grey(stored, None, bits),
        label if _is_labelled(drawings) else None,
        np.logical_or(*lungs.values()) if len(lungs) == len(_LUNGS) else None,
    )


def _lay(
    structure: FoundFile, image: FoundFile, shape: tuple[int, ...], item: _Drawing
) -> tuple[tuple[slice, slice], np.ndarray]:
    """Where a crop belongs in its image, and where it is painted."""
    where = f"{structure}:{item.line}"
    if item.crop is None:
        raise UserError(f"{where}: there is no {item.mask}; download the masks again")
    try:
        left, top, width, height = (round(float(side)) for side in item.box)
    except (ValueError, OverflowError) as error:
        raise UserError(f"{where}: {', '.join(_PLACE)} are no px ({error}); mend them") from error
    painted = read_found(item.crop, read=read_painted)
    where = f"{where}: {item.crop}"
    if painted.shape != (height, width):
        raise UserError(
            f"{where} has {painted.shape[1]} x {painted.shape[0]} px, but its row says {width} x "
            f"{height}; download both again"
        )
    if min(left, top) < 0 or left + width > shape[1] or top + height > shape[0]:
        raise UserError(
            f"{where}, {width} x {height} px at ({left}, {top}), leaves {image}, which has "
            f"{shape[1]} x {shape[0]} px; correct Left and Top, or remove the row"
        )
    return np.s_[top : top + height, left : left + width], painted


SOURCE = radiograph_source(
    facts=SourceFacts(
        name="xray-covid",
        title="COVID-19 Chest X-ray Segmentations: lungs, ground glass, consolidation, effusion",
        licence="masks CC BY 4.0; every image under its own terms, see its metadata.csv",
        citation=(
            "GeneralBlockchain, COVID-19 Chest X-ray Segmentations dataset, 2020; images of Cohen "
            "et al., COVID-19 image data collection, arXiv:2006.11988"
        ),
    ),
    homepage="https://github.com/GeneralBlockchain/covid-19-chest-xray-segmentations-dataset",
    size="about 100 images",
    expects=_EXPECTS,
    labels=LABELS,
    find_cases=find_cases,
)
