"""The 20 scans of COVID-19-CT-Seg: Zenodo's archives, packed or unpacked, and Kaggle's mirror.

Scans are known by the number of a Coronacases case or the id of a Radiopaedia study, which every
mirror keeps in its file names in one way or another; nothing goes by position or by a table.

Orientation. The Coronacases headers are right. Those of the Radiopaedia half say that rows run from
back to front, while they run from front to back: neuro-ml's converter (COVID-19-Triage,
scripts/prepare_medseg.py) reverses them after it has followed the header, and the slices of
7_85703_0 as well; the converter of COVIDx CT transposes the stored slices without a flip, which
comes to the same. So the world of these headers is mirrored, unless a mirror of the data has mended
them, which shows in the direction of their rows. Label headers follow their scan's.

SHA-256 sums: as torch-em (torch_em/data/datasets/medical/covid19_seg.py) states them.
"""

import re
from pathlib import PurePosixPath

import nibabel as nib
import numpy as np

from datasets.card import SourceFacts
from datasets.intensity import GREY_LEVELS, LUNG_WINDOW
from datasets.sources.file_tree import FileTree, FoundFile
from datasets.sources.pairs import files_by_key, match, nothing_found
from datasets.sources.scan_names import patient_of_scan
from datasets.sources.source import Download, Source, SourceCase
from datasets.sources.volume_case import volume_case

_CORONACASES = re.compile(r"(?:coronacases(?:_org)?_(?:case)?|case)0*(\d{1,3})", re.IGNORECASE)
_RADIOPAEDIA = re.compile(r"radiopaedia\D(?:.*\D)?(\d+)[_-](\d+)[_-](\d+)(?:-dcm)?", re.IGNORECASE)
# Folders and archives, told by letters alone: lung_mask, Lung_Mask.zip, infection.zip, ...
_FOLDERS = {
    "lungmask": "lung",
    "infectionmask": "infection",
    "infection": "infection",
    "lungandinfectionmask": "both",
    "lungandinfection": "both",
    "lunginfection": "both",
}
_INFECTION = {1: 1}
_BOTH = {1: 0, 2: 0, 3: 1}  # left lung, right lung, infection
_EXPECTS = (
    "COVID-19-CT-Seg_20cases.zip, Lung_Mask.zip and Infection_Mask.zip, or "
    "Lung_and_Infection_Mask.zip for both masks; packed, or unpacked into folders of these names",
    "or Kaggle's covid19-ct-scans: ct_scans/, lung_mask/ and infection_mask/, or its archive.zip",
)
_ZENODO = "https://zenodo.org/record/3757476/files/"


def find_cases(tree: FileTree) -> list[SourceCase]:
    """See Source.find_cases."""
    roles: dict[str, list[FoundFile]] = {role: [] for role in ("image", *_FOLDERS.values())}
    for file in tree.with_suffix(".nii", ".nii.gz"):
        roles[_role(file.place)].append(file)
    images, lungs, infections, both = (
        files_by_key(roles[role], _name_case) for role in ("image", "lung", "infection", "both")
    )
    matched = match(images, {**both, **infections}, lungs)
    if not matched:
        raise nothing_found(tree, _EXPECTS)
    return [
        volume_case(
            name,
            # The authors say of 10_85902_1 and _3 that they are one patient; of 29_86490_1 and
            # 29_86491_1 their case number does.
            patient_of_scan(name),
            image=image,
            mask=mask,
            lung=lungs.get(name) or both.get(name),
            rule=LUNG_WINDOW if name.startswith("coronacases") else GREY_LEVELS,
            labels=_INFECTION if name in infections else _BOTH,
            copy_geometry=True,
            mend=_MEND.get(name, None if name.startswith("coronacases") else _turn_rows),
        )
        for name, image, mask in matched
    ]


def _role(place: PurePosixPath) -> str:
    """Image, lung, infection, or both of them, by the innermost folder that says so."""
    for folder in reversed(place.parts[:-1]):
        letters = re.sub(r"[^a-z]", "", folder.lower())
        if letters in _FOLDERS:
            return _FOLDERS[letters]
    return "image"


def _name_case(file: FoundFile) -> str | None:
    """coronacases_007 or radiopaedia_10_85902_1; None for a file of another data set."""
    if found := _CORONACASES.fullmatch(file.stem):
        return f"coronacases_{int(found[1]):03d}"
    if found := _RADIOPAEDIA.fullmatch(file.stem):
        return "radiopaedia_" + "_".join(found.groups())
    return None


def _turn_rows(affine: np.ndarray) -> np.ndarray:
    """What the world of a Radiopaedia header is to be multiplied by."""
    return np.diag([1.0, -1, 1, 1]) if "A" in nib.aff2axcodes(affine) else np.eye(4)


def _turn_rows_and_slices(affine: np.ndarray) -> np.ndarray:
    """The same for 7_85703_0."""
    return np.diag([1.0, -1, -1, 1]) if "A" in nib.aff2axcodes(affine) else np.eye(4)


_MEND = {"radiopaedia_7_85703_0": _turn_rows_and_slices}

SOURCE = Source(
    facts=SourceFacts(
        name="covid-ct-seg",
        title="COVID-19 CT Lung and Infection Segmentation (20 scans)",
        licence=(
            "CC BY 4.0 by the Zenodo record's listings, CC BY-NC-SA by the authors' README: "
            "conflicting, read the record and treat it as non-commercial until it is clear"
        ),
        citation=(
            "Ma et al., Toward data-efficient learning: A benchmark for COVID-19 CT lung and "
            "infection segmentation, Medical Physics 48(3), 2021, doi:10.1002/mp.14676; data "
            "doi:10.5281/zenodo.3757476"
        ),
    ),
    homepage="https://zenodo.org/record/3757476",
    size="about 1.1 GB",
    expects=_EXPECTS,
    labels={1: "lesion"},
    intensity=LUNG_WINDOW,  # that the Radiopaedia half went through before it was published
    find_cases=find_cases,
    downloads=(
        Download(
            _ZENODO + "COVID-19-CT-Seg_20cases.zip",
            "COVID-19-CT-Seg_20cases.zip",
            "a5060480eff9315b069b086312dac4872777901fb80d268a5a83edd9f4e7b440",
        ),
        Download(
            _ZENODO + "Lung_Mask.zip",
            "Lung_Mask.zip",
            "f060b0d0299939a6d95ddefdbfa281de1a779c4d230a5adbd32414711d6d8187",
        ),
        Download(
            _ZENODO + "Infection_Mask.zip",
            "Infection_Mask.zip",
            "87901c73fdd2230260e61d2dbc57bf56026efc28264006b8ea2bf411453c1694",
        ),
    ),
)
