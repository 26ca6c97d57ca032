"""UESTC-COVID-19: 120 scans, 70 labelled by non-experts (part1) and 50 by experts (part2).

Scans are cropped to the lungs and hold (HU + 1400) / 1500, so 0 to 1 is -1400 to 100 HU. The
headers of the labels are wrong, as PyMIC's examples for this set note; the scans' are used.
"""

import re
import sys

from datasets.card import SourceFacts
from datasets.intensity import UNIT_RANGE, IntensityRule
from datasets.sources.file_tree import FileTree, FoundFile
from datasets.sources.pairs import nothing_found, pair_by_stem
from datasets.sources.source import Source, SourceCase
from datasets.sources.volume_case import volume_case

_PARTS = ("part1", "part2")
_EXPECTS = ("UESTC-COVID-19/{part1,part2}/{image,label}/*.nii.gz with equal names",)


def find_cases(tree: FileTree) -> list[SourceCase]:
    """See Source.find_cases."""
    pairs = [
        (part, image, mask)
        for part in _PARTS
        for image, mask in pair_by_stem(_files(tree, part, "image"), _files(tree, part, "label"))
    ]
    if not pairs:
        raise nothing_found(tree, _EXPECTS)
    print(
        f"warning: {tree.root}: label headers of UESTC-COVID-19 are wrong; those of the scans are "
        "used for both",
        file=sys.stderr,
    )
    return [_case(part, image, mask) for part, image, mask in pairs]


def _case(part: str, image: FoundFile, mask: FoundFile) -> SourceCase:
    """A scan; its part is in the name, for it tells who labelled it."""
    name = f"{part}_{re.sub(r'[^A-Za-z0-9.-]+', '_', image.stem)}"
    return volume_case(
        name, name, image=image, mask=mask, rule=UNIT_RANGE, labels={1: 1}, copy_geometry=True
    )


def _files(tree: FileTree, part: str, kind: str) -> list[FoundFile]:
    """The volumes of <part>/<kind>, wherever that lies."""
    return [
        file
        for file in tree.with_suffix(".nii", ".nii.gz")
        if [folder.lower() for folder in file.place.parts[-3:-1]] == [part, kind]
    ]


SOURCE = Source(
    facts=SourceFacts(
        name="uestc",
        title="UESTC-COVID-19 (120 scans, 70 labelled by non-experts and 50 by experts)",
        licence="on request from HiLab, for research; terms come with the download",
        citation=(
            "Wang et al., A noise-robust framework for automatic segmentation of COVID-19 "
            "pneumonia lesions from CT images, IEEE TMI 39(8), 2020, doi:10.1109/TMI.2020.3000314"
        ),
    ),
    homepage="http://faculty.uestc.edu.cn/HiLab/en/article/379152/list/index.htm",
    size="120 scans, on request",
    expects=_EXPECTS,
    labels={1: "lesion"},
    intensity=IntensityRule("HU", -1400.0, 100.0),
    find_cases=find_cases,
)
