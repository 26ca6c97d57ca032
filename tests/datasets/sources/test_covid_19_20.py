"""COVID-19-20 in miniature: training scans with labels, others without."""

from pathlib import Path

import numpy as np
import pytest
from nifti_files import labels, pack, read, scan, stacked, write_nifti

from datasets.intensity import LUNG_WINDOW
from datasets.sources.covid_19_20 import SOURCE
from datasets.sources.file_tree import FileTree
from utils.errors import UserError

CLASSES = labels(1)
NUMBERS = (3, 11, 696)


def stem(number: int) -> str:
    return f"volume-covid19-A-{number:04d}"


def make(root: Path) -> Path:
    for number in NUMBERS:
        write_nifti(root / "Train" / f"{stem(number)}_ct.nii.gz", scan(number))
        write_nifti(root / "Train" / f"{stem(number)}_seg.nii.gz", CLASSES)
    write_nifti(root / "Validation" / f"{stem(12)}_ct.nii.gz", scan())
    return root


@pytest.mark.parametrize("packed", [False, True])
def test_the_training_scans_are_the_cases(packed: bool, tmp_path: Path) -> None:
    root = make(tmp_path / "COVID-19-20_v2")
    if packed:
        root = pack(tmp_path / "COVID-19-20_v2.zip", root, top="COVID-19-20_v2")
    cases = SOURCE.find_cases(FileTree(root))
    assert [case.name for case in cases] == [stem(number) for number in NUMBERS]
    for number, case in zip(NUMBERS, cases, strict=True):
        assert case.patient == case.name
        slices = read(case)
        pixels = stacked(slices, "image")
        np.testing.assert_array_equal(pixels, LUNG_WINDOW.apply(scan(number)))
        np.testing.assert_array_equal(stacked(slices, "label"), CLASSES)
        assert case.spacing() == pytest.approx((0.8, 0.7, 5.0))


def test_the_training_folder_may_be_given_itself(tmp_path: Path) -> None:
    cases = SOURCE.find_cases(FileTree(make(tmp_path) / "Train"))
    assert len(cases) == len(NUMBERS)


@pytest.mark.parametrize(("lost", "missing"), [("_seg", "mask"), ("_ct", "image")])
def test_a_lonely_training_file_is_named(lost: str, missing: str, tmp_path: Path) -> None:
    (make(tmp_path) / "Train" / f"{stem(11)}{lost}.nii.gz").unlink()
    kept = f"{stem(11)}{'_ct' if lost == '_seg' else '_seg'}.nii.gz"
    with pytest.raises(UserError, match=rf"^no {missing} for \S+Train/{kept}: add"):
        SOURCE.find_cases(FileTree(tmp_path))


def test_validation_scans_alone_are_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "Validation" / f"{stem(12)}_ct.nii.gz", scan())
    with pytest.raises(UserError, match=r"no case found, but Validation/\S+; expected COVID-19-20"):
        SOURCE.find_cases(FileTree(tmp_path))
