"""COVID-QU-Ex: chest X-rays of COVID-19, of other pneumonias and of healthy lungs.

Of its two parts the one with infections is read; the masks of the other show lungs alone. Its
infections are those of COVID-19: masks of other pneumonias are blank, as those of healthy lungs
are, whatever the lungs look like.
"""

import re

from datasets.card import SourceFacts
from datasets.radiographs import read_radiograph
from datasets.sources.file_tree import FileTree, FoundFile
from datasets.sources.image_case import FoundSlice, image_case
from datasets.sources.pairs import match, nothing_found
from datasets.sources.radiographs import images_below, radiograph_source
from datasets.sources.source import SourceCase

_PART = "Infection Segmentation Data"
_SPLITS = {"Train": "train", "Val": "val", "Test": "test"}
_GROUPS = {"COVID-19": "covid", "Non-COVID": "noncovid", "Normal": "normal"}
_KINDS = ("images", "infection masks", "lung masks")
_EXPECTS = (
    f"{_PART}/{{{','.join(_SPLITS)}}}/{{{','.join(_GROUPS)}}}/{{{','.join(_KINDS)}}}/*.png of "
    "equal names, or the archive",
    "masks of Non-COVID are blank: pneumonias of other causes count as no lesion",
    "infections were drawn in QaTa-COV19: do not test on what qata-cov19 has trained",
    "no patient ids are published, so every image counts as a patient of its own",
)


def find_cases(tree: FileTree) -> list[SourceCase]:
    """The images of all splits and groups that are there."""
    cases = [
        case
        for folder, split in _SPLITS.items()
        for group, short in _GROUPS.items()
        for case in _group(tree, folder, group, f"{short}_", split)
    ]
    if not cases:
        raise nothing_found(tree, _EXPECTS)
    return sorted(cases, key=lambda case: case.name)


def _group(tree: FileTree, folder: str, group: str, prefix: str, split: str) -> list[SourceCase]:
    """The images of a group in a split."""
    images, masks, lungs = (
        _by_stem(images_below(tree, _PART, folder, group, kind)) for kind in _KINDS
    )
    cases = []
    for stem, image, mask in match(images, masks, lungs):
        name = prefix + re.sub(r"\W+", "_", stem).strip("_")
        slices = [FoundSlice(0, image, mask, lungs.get(stem))]
        cases.append(image_case(name, name, slices, split=split, read=read_radiograph))
    return cases


def _by_stem(files: list[FoundFile]) -> dict[str, FoundFile]:
    return {file.stem: file for file in files}


SOURCE = radiograph_source(
    facts=SourceFacts(
        name="covid-qu-ex",
        title="COVID-QU-Ex: X-rays of COVID-19, other pneumonias and healthy lungs",
        licence="see the Kaggle page, and those of the sets that it is made of",
        citation=(
            "Tahir et al., COVID-19 infection localization and severity grading from chest X-ray "
            "images, Computers in Biology and Medicine 139, 2021, "
            "doi:10.1016/j.compbiomed.2021.105002"
        ),
    ),
    homepage="https://www.kaggle.com/datasets/anasmohammedtahir/covidqu",
    size="5,826 images of 256 x 256 px with masks of infections",
    expects=_EXPECTS,
    labels={1: "lesion"},
    find_cases=find_cases,
)
