"""QaTa-COV19-v2: chest X-rays of COVID-19 with masks of lesions, in a train and a test part.

Names of the BIMCV images among them say whose they are: sub-S03047_ses-E07985_...; patients of
theirs may stand in both parts, which is then refused as a leak.
"""

import re

from datasets.card import SourceFacts
from datasets.radiographs import read_radiograph
from datasets.sources.file_tree import FileTree
from datasets.sources.image_case import FoundSlice, image_case
from datasets.sources.pairs import nothing_found, pair_by_stem
from datasets.sources.radiographs import images_below, radiograph_source
from datasets.sources.source import SourceCase

_PARTS = {"Train Set": "train", "Test Set": "test"}
_SUBJECT = re.compile(r"sub-[A-Za-z0-9]+")
_AFFIXES = ("mask_",)
_EXPECTS = (
    "QaTa-COV19-v2/{Train Set,Test Set}/Images/*.png and Ground-truths/mask_*.png, or the archive",
    "patients are told by sub-* in the names, other images count as patients of their own; where "
    "one stands in both parts, --new-split deals patients out anew",
)


def find_cases(tree: FileTree) -> list[SourceCase]:
    """The images of both parts, those that are there."""
    cases = []
    for folder, split in _PARTS.items():
        images, masks = (images_below(tree, folder, kind) for kind in ("Images", "Ground-truths"))
        for image, mask in pair_by_stem(images, masks, _AFFIXES):
            subject = _SUBJECT.search(image.stem)
            slices = [FoundSlice(0, image, mask)]
            patient = subject[0] if subject else image.stem
            cases.append(image_case(image.stem, patient, slices, split=split, read=read_radiograph))
    if not cases:
        raise nothing_found(tree, _EXPECTS)
    return sorted(cases, key=lambda case: case.name)


SOURCE = radiograph_source(
    facts=SourceFacts(
        name="qata-cov19",
        title="QaTa-COV19-v2: X-rays of COVID-19",
        licence="see the Kaggle page, and those of the sets that it is made of",
        citation=(
            "Degerli et al., OSegNet: operational segmentation network for COVID-19 detection "
            "using chest X-ray images, IEEE International Conference on Image Processing, 2022"
        ),
    ),
    homepage="https://www.kaggle.com/datasets/aysendegerli/qatacov19-dataset",
    size="9,258 images of 224 x 224 px",
    expects=_EXPECTS,
    labels={1: "lesion"},
    find_cases=find_cases,
)
