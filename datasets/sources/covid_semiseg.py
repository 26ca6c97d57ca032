"""COVID-SemiSeg of Fan et al.: lesions, their two classes, and a pool of unlabelled slices.

The labelled slices are cropped from the MedSeg set of 100, the pool is from COVID-19-CT-Seg. Class
masks are palette images, red for ground-glass opacity and green for consolidation; 38 and 75, by
which the set's own code tells them, are the luma of these colours.

The slices lie on their side as published, those with labels in another way than the pool. They are
brought upright here: the former by exchanging rows and columns, as MedSeg's own, the latter by a
quarter turn to the left. The quarter turn is the one of eight that fits the original Coronacases
scans (mean correlation 0.89 of 38 slices of 4 patients, 0.65 by the next best).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath

import numpy as np

from datasets.card import SourceFacts
from datasets.image_io import IMAGE_SUFFIXES
from datasets.sources.file_tree import FileTree, FoundFile
from datasets.sources.image_case import FoundSlice, MaskDecoder, above_half, by_value, image_case
from datasets.sources.pairs import files_by_key, nothing_found, pair_by_stem
from datasets.sources.scan_names import patient_of_scan
from datasets.sources.source import CONSOLIDATION, GROUND_GLASS, Source, SourceCase

_BINARY_PARTS = {
    "train": "LungInfection-Train/Doctor-label",
    "test": "LungInfection-Test",
}
_CLASS_PARTS = {
    "train": "MultiClassInfection-Train",
    "test": "MultiClassInfection-Test",
}
_POOL = "LungInfection-Train/Pseudo-label"
_decode_classes = partial(by_value, classes={38: 1, 75: 2})
_POOL_NAME = re.compile(r"(?P<scan>.+?)_(?P<slice>\d+)")
_NO_PATIENTS = "no patient ids are published, so every slice counts as a patient of its own"
_BINARY_EXPECTS = (
    *(f"Dataset/*/{part}/Imgs/*.jpg and GT/*.png" for part in _BINARY_PARTS.values()),
    f"the training part alone will do; Edge/*.png beside GT is used; {_NO_PATIENTS}",
)
_CLASS_EXPECTS = (
    *(f"Dataset/*/{part}/Imgs/*.jpg and GT/*.png" for part in _CLASS_PARTS.values()),
    f"the training part alone will do; {_NO_PATIENTS}",
)
_POOL_EXPECTS = (
    f"Dataset/TrainingSet/{_POOL}/Imgs/*.jpg, slices of COVID-19-CT-Seg without labels: keep its "
    "patients out of val and test where the two are used together",
)


def find_binary_cases(tree: FileTree) -> list[SourceCase]:
    """The slices with a mask of lesions."""
    return _labelled_cases(tree, _BINARY_PARTS, _BINARY_EXPECTS, above_half, palette=False)


def find_class_cases(tree: FileTree) -> list[SourceCase]:
    """The slices with a mask of classes."""
    return _labelled_cases(tree, _CLASS_PARTS, _CLASS_EXPECTS, _decode_classes, palette=True)


def find_unlabelled_cases(tree: FileTree) -> list[SourceCase]:
    """The scans of the pool, each with those of its slices that are there."""
    scans: dict[str, list[FoundSlice]] = defaultdict(list)
    files = files_by_key(_images_in(tree, f"{_POOL}/Imgs"), lambda file: file.stem)
    for stem, file in files.items():
        found = _POOL_NAME.fullmatch(stem)
        scan, index = (found["scan"], int(found["slice"])) if found else (stem, 0)
        scans[scan].append(FoundSlice(index, file, mask=None))
    if not scans:
        raise nothing_found(tree, _POOL_EXPECTS)
    return [
        image_case(name, patient_of_scan(name), slices, turn=np.rot90, is_volume=True)
        for name, slices in sorted(scans.items())
    ]


def _labelled_cases(
    tree: FileTree,
    parts: Mapping[str, str],
    expects: Sequence[str],
    decode: MaskDecoder,
    palette: bool,
) -> list[SourceCase]:
    """The slices of all parts that are there; a number that stands in both gets its split."""
    pairs = {
        split: pair_by_stem(_images_in(tree, f"{part}/Imgs"), _images_in(tree, f"{part}/GT"))
        for split, part in parts.items()
    }
    counts = Counter(image.stem for found in pairs.values() for image, _ in found)
    cases = []
    for split, found in pairs.items():
        edges = files_by_key(_images_in(tree, f"{parts[split]}/Edge"), lambda file: file.stem)
        for image, mask in found:
            number = image.stem.zfill(3)
            name = f"semiseg_{split}_{number}" if counts[image.stem] > 1 else f"semiseg_{number}"
            slices = [FoundSlice(0, image, mask, edge=edges.get(image.stem))]
            cases.append(
                image_case(
                    name,
                    name,
                    slices,
                    decode=decode,
                    palette=palette,
                    turn=np.transpose,
                    split=split,
                )
            )
    if not cases:
        raise nothing_found(tree, expects)
    return sorted(cases, key=lambda case: case.name)


def _images_in(tree: FileTree, folder: str) -> list[FoundFile]:
    """The images in a folder, wherever it lies; its letters may be large or small."""
    wanted = PurePosixPath(folder.lower()).parts
    return [
        file
        for file in tree.with_suffix(*IMAGE_SUFFIXES)
        if tuple(part.lower() for part in file.place.parts[:-1])[-len(wanted) :] == wanted
    ]


def _facts(name: str, title: str) -> SourceFacts:
    return SourceFacts(
        name,
        title,
        licence="non-commercial use only, as its authors say",
        citation=(
            "Fan et al., Inf-Net: Automatic COVID-19 lung infection segmentation from CT images, "
            "IEEE Transactions on Medical Imaging 39(8), 2020, doi:10.1109/TMI.2020.2996645"
        ),
    )


_HOMEPAGE = "https://github.com/DengPingFan/Inf-Net"

BINARY = Source(
    facts=_facts("covid-semiseg", "COVID-SemiSeg, lesions"),
    homepage=_HOMEPAGE,
    size="98 slices, 50 of them for training",
    expects=_BINARY_EXPECTS,
    labels={1: "lesion"},
    intensity=None,
    find_cases=find_binary_cases,
)
MULTI_CLASS = Source(
    facts=_facts("covid-semiseg-multiclass", "COVID-SemiSeg, ground glass and consolidation"),
    homepage=_HOMEPAGE,
    size="98 slices, 50 of them for training",
    expects=_CLASS_EXPECTS,
    labels={1: GROUND_GLASS, 2: CONSOLIDATION},
    intensity=None,
    find_cases=find_class_cases,
)
POOL = Source(
    facts=_facts("covid-semiseg-unlabelled", "COVID-SemiSeg, slices without labels"),
    homepage=_HOMEPAGE,
    size="1,600 slices",
    expects=_POOL_EXPECTS,
    labels={},
    intensity=None,
    find_cases=find_unlabelled_cases,
)
SOURCES = (BINARY, MULTI_CLASS, POOL)
