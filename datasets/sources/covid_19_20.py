"""COVID-19-20 challenge: 199 training scans with labels; validation and test scans have none."""

from datasets.card import SourceFacts
from datasets.intensity import LUNG_WINDOW
from datasets.sources.file_tree import FileTree, FoundFile
from datasets.sources.pairs import nothing_found, pair_by_stem
from datasets.sources.source import Source, SourceCase
from datasets.sources.volume_case import volume_case

_UNLABELLED = ("validation", "test", "covid-19-20_testset")
_SCAN, _LABEL = "_ct", "_seg"
_EXPECTS = (
    "COVID-19-20_v2/Train/volume-covid19-A-XXXX_ct.nii.gz and _seg.nii.gz, packed or unpacked",
    "Validation/ and the test set have no labels and are not read",
)


def find_cases(tree: FileTree) -> list[SourceCase]:
    """See Source.find_cases."""
    files = [file for file in tree.with_suffix(".nii", ".nii.gz") if not _is_unlabelled(file)]
    scans, labels = (
        [file for file in files if file.stem.lower().endswith(affix)] for affix in (_SCAN, _LABEL)
    )
    pairs = pair_by_stem(scans, labels, (_SCAN, _LABEL))
    if not pairs:
        raise nothing_found(tree, _EXPECTS)
    return [_case(scan, label) for scan, label in pairs]


def _case(scan: FoundFile, label: FoundFile) -> SourceCase:
    """A scan; nothing tells of two scans of one patient."""
    name = scan.stem[: -len(_SCAN)]
    return volume_case(name, name, image=scan, mask=label, rule=LUNG_WINDOW, labels={1: 1})


def _is_unlabelled(file: FoundFile) -> bool:
    """Whether it is of a part without labels."""
    return any(part.lower() in _UNLABELLED for part in file.place.parts[:-1])


SOURCE = Source(
    facts=SourceFacts(
        name="covid-19-20",
        title="COVID-19 Lung CT Lesion Segmentation Challenge 2020 (199 training scans)",
        licence="CC BY 4.0 by a public mirror; the challenge's own terms come with the download",
        citation=(
            "Roth et al., Rapid artificial intelligence solutions in a pandemic: The COVID-19-20 "
            "lung CT lesion segmentation challenge, Medical Image Analysis 82, 2022, "
            "doi:10.1016/j.media.2022.102605"
        ),
    ),
    homepage="https://covid-segmentation.grand-challenge.org",
    size="199 training, 50 validation and 46 test scans",
    expects=_EXPECTS,
    labels={1: "lesion"},
    intensity=LUNG_WINDOW,
    find_cases=find_cases,
)
