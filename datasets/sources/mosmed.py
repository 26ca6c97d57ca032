"""MosMedData: 1110 scans of as many patients, of which 50, all of category CT-1, have masks.

Only the 50 are converted. Every tenth image of a scan was kept, so slices lie 8 mm apart; what is
measured across them in 3-D says little. Ground glass and consolidation are one class, and no lung
masks are there.
"""

import re

from datasets.card import SourceFacts
from datasets.intensity import LUNG_WINDOW
from datasets.sources.file_tree import FileTree, FoundFile
from datasets.sources.pairs import files_by_key, match, nothing_found
from datasets.sources.source import Source, SourceCase
from datasets.sources.volume_case import volume_case

_STUDY = re.compile(r"(study_\d+)", re.IGNORECASE)
_MASK = re.compile(r"(study_\d+)_mask", re.IGNORECASE)
_EXPECTS = (
    "masks/study_0255_mask.nii.gz to study_0304_mask.nii.gz",
    "studies/CT-1/study_0255.nii.gz to study_0304.nii.gz, or CT-1/ beside masks/; the other "
    "studies have no masks and are not read",
)


def find_cases(tree: FileTree) -> list[SourceCase]:
    """See Source.find_cases."""
    files = tree.with_suffix(".nii", ".nii.gz")
    masks = files_by_key(files, lambda file: _study(file, _MASK))
    images = files_by_key(files, lambda file: _study(file, _STUDY))
    if not masks:
        raise nothing_found(tree, _EXPECTS)
    labelled = {study: images[study] for study in images.keys() & masks.keys()}
    return [
        volume_case(study, study, image=image, mask=mask, rule=LUNG_WINDOW, labels={1: 1})
        for study, image, mask in match(labelled, masks)
    ]


def _study(file: FoundFile, pattern: re.Pattern[str]) -> str | None:
    """study_0255, where that is what the file's name says."""
    found = pattern.fullmatch(file.stem)
    return found and found[1].lower()


SOURCE = Source(
    facts=SourceFacts(
        name="mosmed",
        title="MosMedData: chest CT scans with COVID-19 related findings (50 with masks)",
        licence="CC BY-NC-ND 3.0: slices made from it must not be passed on",
        citation=(
            "Morozov et al., MosMedData: Chest CT scans with COVID-19 related findings dataset, "
            "2020, arXiv:2005.06465, doi:10.1101/2020.05.20.20100362"
        ),
    ),
    homepage="https://mosmed.ai/datasets/covid19_1110",
    size="21 GB",
    expects=_EXPECTS,
    labels={1: "lesion"},
    intensity=LUNG_WINDOW,
    find_cases=find_cases,
)
