"""The 9 Radiopaedia volumes that MedSeg labelled, its data set 2: rp_im, rp_msk, rp_lung_msk."""

from datasets.card import SourceFacts
from datasets.intensity import LUNG_WINDOW
from datasets.sources.file_tree import FileTree, FoundFile
from datasets.sources.pairs import files_by_key, match, nothing_found
from datasets.sources.source import (
    CONSOLIDATION,
    GROUND_GLASS,
    PLEURAL_EFFUSION,
    Download,
    Source,
    SourceCase,
)
from datasets.sources.volume_case import volume_case

_EXPECTS = (
    "rp_im.zip, rp_msk.zip and rp_lung_msk.zip, packed or unpacked: 1.nii.gz to 9.nii.gz (or "
    ".nii) in each; lung masks are optional",
)
_FIGSHARE = "https://figshare.com/ndownloader/files/"


def find_cases(tree: FileTree) -> list[SourceCase]:
    """See Source.find_cases."""
    images, masks, lungs = (_in_folder(tree, name) for name in ("rp_im", "rp_msk", "rp_lung_msk"))
    matched = match(images, masks, lungs)
    if not matched:
        raise nothing_found(tree, _EXPECTS)
    return [
        volume_case(
            f"medseg9_{number}",
            f"medseg9_{number}",
            image=image,
            mask=mask,
            lung=lungs.get(number),
            rule=LUNG_WINDOW,
            labels={1: 1, 2: 2, 3: 3},
        )
        for number, image, mask in matched
    ]


def _in_folder(tree: FileTree, folder: str) -> dict[str, FoundFile]:
    """The volumes in a folder or archive of that name, by their number."""

    def number(file: FoundFile) -> str | None:
        inside = folder in (part.lower() for part in file.place.parts[:-1])
        return file.stem if inside and file.stem.isdecimal() else None

    return files_by_key(tree.with_suffix(".nii", ".nii.gz"), number)


SOURCE = Source(
    facts=SourceFacts(
        name="medseg-volumes",
        title="MedSeg COVID-19 data set 2 (9 Radiopaedia volumes)",
        licence=(
            "CC0 for the masks by one public listing; the scans are Radiopaedia's, CC BY-NC-SA 3.0 "
            "by its terms: read both"
        ),
        citation=(
            "MedSeg, Jenssen, Sakinis, COVID-19 CT segmentation dataset 2, "
            "doi:10.6084/m9.figshare.13521509"
        ),
    ),
    homepage="https://figshare.com/articles/dataset/13521509",
    size="310 MB",
    expects=_EXPECTS,
    labels={1: GROUND_GLASS, 2: CONSOLIDATION, 3: PLEURAL_EFFUSION},
    intensity=LUNG_WINDOW,
    find_cases=find_cases,
    downloads=(
        Download(_FIGSHARE + "25954007", "rp_im.zip"),
        Download(_FIGSHARE + "25954010", "rp_lung_msk.zip"),
        Download(_FIGSHARE + "25954013", "rp_msk.zip"),
    ),
)
