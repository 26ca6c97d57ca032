"""Kaggle's covid19-ct-scan-lesion-segmentation-dataset: 2,729 PNG slices of three other sets.

Its names say where a slice is from: bjorke_N from the MedSeg set of 100 (whose annotator's name it
is), Morozov_study_N from MosMedData, Jun_coronacases_caseN and Jun_radiopaedia_N_N_N_caseN from
COVID-19-CT-Seg. Patients are called as the readers of those sets call them.
"""

import re
from collections import defaultdict

from datasets.card import SourceFacts
from datasets.image_io import IMAGE_SUFFIXES
from datasets.sources.file_tree import FileTree, FoundFile
from datasets.sources.image_case import FoundSlice, above_half, image_case
from datasets.sources.pairs import nothing_found, pair_by_stem
from datasets.sources.scan_names import patient_of_scan
from datasets.sources.source import Source, SourceCase
from utils.errors import UserError

_SINGLE = re.compile(r"bjorke_\d+", re.IGNORECASE)
_OF_SCAN = re.compile(
    r"(?P<scan>Morozov_(?P<study>study_\d+)|Jun_(?:coronacases|radiopaedia_.+)_case\d+)"
    r"_(?P<slice>\d+)",
    re.IGNORECASE,
)
_EXPECTS = (
    "frames/*.png and masks/*.png of equal names, or archive.zip with them",
    "it is made of slices of MedSeg, MosMedData and COVID-19-CT-Seg: do not test on what another "
    "of these sets has trained",
    "bjorke_* have no patient ids, so every one of them counts as a patient of its own",
)


def find_cases(tree: FileTree) -> list[SourceCase]:
    """The scans, each with those of its slices that are there, and the single slices."""
    frames, masks = (
        [file for file in tree.with_suffix(*IMAGE_SUFFIXES) if file.folder.lower() == folder]
        for folder in ("frames", "masks")
    )
    scans: dict[tuple[str, str], list[FoundSlice]] = defaultdict(list)
    for image, mask in pair_by_stem(frames, masks):
        name, patient, index = _place(image)
        scans[name, patient].append(FoundSlice(index, image, mask))
    if not scans:
        raise nothing_found(tree, _EXPECTS)
    return [
        image_case(
            name,
            patient,
            slices,
            decode=above_half,
            is_volume=_SINGLE.fullmatch(name) is None,
        )
        for (name, patient), slices in sorted(scans.items())
    ]


def _place(image: FoundFile) -> tuple[str, str, int]:
    """Case, patient and slice of a file, by its name."""
    if _SINGLE.fullmatch(image.stem):
        return image.stem, image.stem, 0
    found = _OF_SCAN.fullmatch(image.stem)
    if found is None:
        raise UserError(
            f"{image}: neither bjorke_N, Morozov_study_N_N nor Jun_*_caseN_N, so its patient is "
            "not known; remove it, or convert the folder as generic"
        )
    scan = found["scan"]
    return scan, (found["study"] or patient_of_scan(scan)).lower(), int(found["slice"])


SOURCE = Source(
    facts=SourceFacts(
        name="kaggle-lesions",
        title="COVID-19 CT scan lesion segmentation dataset (Kaggle)",
        licence="see the Kaggle page, and those of MedSeg, MosMedData and COVID-19-CT-Seg",
        citation=(
            "Maftouni et al., A robust ensemble-deep learning model for COVID-19 diagnosis based "
            "on an integrated CT scan images database, Proceedings of the Industrial and Systems "
            "Engineering Conference, 2021"
        ),
    ),
    homepage="https://www.kaggle.com/datasets/maedemaftouni/covid19-ct-scan-lesion-segmentation-dataset",
    size="2,729 slices",
    expects=_EXPECTS,
    labels={1: "lesion"},
    intensity=None,
    find_cases=find_cases,
)
