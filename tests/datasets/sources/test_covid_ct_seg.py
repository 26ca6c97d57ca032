"""COVID-19-CT-Seg in miniature: Zenodo's archives and Kaggle's folders, with all their names."""

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nifti_files import SPACING, labels, pack, read, scan, stacked, write_nifti

from datasets.intensity import GREY_LEVELS, LUNG_WINDOW
from datasets.sources.covid_ct_seg import SOURCE
from datasets.sources.file_tree import FileTree
from datasets.sources.source import SourceCase
from utils.errors import UserError

CORONACASES = [f"coronacases_{number:03d}" for number in range(1, 11)]
STUDIES = [
    "4_85506_1", "7_85703_0", "10_85902_1", "10_85902_3", "14_85914_0", "27_86410_0", "29_86490_1",
    "29_86491_1", "36_86526_0", "40_86625_0",
]  # fmt: skip
NAMES = sorted([*CORONACASES, *(f"radiopaedia_{study}" for study in STUDIES)])
# The Radiopaedia headers call the rows' direction front, and it is back.
FALSE_AFFINE = np.diag([-SPACING[2], SPACING[1], SPACING[0], 1])
CLASSES = labels(1)
LUNGS = labels(1, 2, seed=5)


def grey(name: str) -> np.ndarray:
    """(slices, H, W) of a case: HU of Coronacases, grey levels of Radiopaedia."""
    seed = NAMES.index(name)
    return scan(seed) if name.startswith("coronacases") else scan(seed, 0, 256)


def write(path: Path, name: str, axial: np.ndarray) -> None:
    """A volume of a case with the header that its half of the set has."""
    if name.startswith("coronacases"):
        write_nifti(path, axial, "LAS")
    else:
        upside_down = name == "radiopaedia_7_85703_0"
        write_nifti(path, axial[::-1] if upside_down else axial, "LPS", FALSE_AFFINE)


def make_zenodo(root: Path, *, combined: bool = False, packed: bool = True) -> Path:
    """The archives as downloaded, flat inside."""
    both = np.where(CLASSES > 0, 3, LUNGS)
    masks = {"Lung_and_Infection_Mask": both}
    if not combined:
        masks = {"Lung_Mask": LUNGS, "Infection_Mask": CLASSES}
    for name in NAMES:
        write(root / "COVID-19-CT-Seg_20cases" / f"{name}.nii.gz", name, grey(name))
        for folder, axial in masks.items():
            write(root / folder / f"{name}.nii.gz", name, axial)
    for folder in ("COVID-19-CT-Seg_20cases", *masks):
        if packed:
            pack(root / f"{folder}.zip", root / folder)
    return root


def kaggle_name(name: str) -> str:
    """A scan's name in today's Kaggle mirror."""
    if name.startswith("coronacases"):
        return name.replace("coronacases", "coronacases_org")
    return f"radiopaedia_org_covid-19-pneumonia-{name.removeprefix('radiopaedia_')}-dcm"


def older_name(name: str) -> str:
    """A scan's name in an older one."""
    older = {"009": "case009", "007": "coronacases_org_case007", "010": "coronacases_org_case010"}
    return older.get(name.removeprefix("coronacases_"), kaggle_name(name))


def make_kaggle(root: Path, call: Callable[[str], str] = kaggle_name) -> Path:
    """Kaggle's folders, scans and masks under different names."""
    for name in NAMES:
        write(root / "ct_scans" / f"{call(name)}.nii", name, grey(name))
        write(root / "lung_mask" / f"{name}.nii", name, LUNGS)
        write(root / "infection_mask" / f"{name}.nii", name, CLASSES)
        write(root / "lung_and_infection_mask" / f"{name}.nii", name, np.maximum(LUNGS, 1))
    (root / "metadata.csv").write_text("ct_scan,lung_mask\n../input/x.nii,../input/y.nii\n")
    return root


def cases_in(root: Path) -> dict[str, SourceCase]:
    return {case.name: case for case in SOURCE.find_cases(FileTree(root))}


def check_case(case: SourceCase, lungs: np.ndarray) -> None:
    """Its slices are those of grey, CLASSES and the lungs, whatever the headers said."""
    rule = LUNG_WINDOW if case.name.startswith("coronacases") else GREY_LEVELS
    slices = read(case)
    np.testing.assert_array_equal(stacked(slices, "image"), rule.apply(grey(case.name)))
    np.testing.assert_array_equal(stacked(slices, "label"), CLASSES)
    np.testing.assert_array_equal(stacked(slices, "lung"), lungs)
    assert case.spacing() == pytest.approx((0.8, 0.7, 5.0))


LAYOUTS = {
    "archives": make_zenodo,
    "folders": lambda root: make_zenodo(root, packed=False),
    "Kaggle": make_kaggle,
    "older Kaggle": lambda root: make_kaggle(root, older_name),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_twenty_cases(
    layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = cases_in(LAYOUTS[layout](tmp_path))
    assert sorted(cases) == NAMES
    for name in NAMES:
        check_case(cases[name], LUNGS > 0)
    assert capsys.readouterr().err == ""


def test_the_combined_mask_stands_in_for_the_two_others(tmp_path: Path) -> None:
    cases = cases_in(make_zenodo(tmp_path, combined=True))
    assert sorted(cases) == NAMES
    for name in ("coronacases_004", "radiopaedia_7_85703_0"):
        check_case(cases[name], (LUNGS > 0) | (CLASSES > 0))


def test_the_two_scans_of_a_patient_are_one_patient(tmp_path: Path) -> None:
    patients: dict[str, list[str]] = {}
    for name, case in cases_in(make_zenodo(tmp_path)).items():
        patients.setdefault(case.patient, []).append(name)
    shared = sorted(sorted(names) for names in patients.values() if len(names) > 1)
    assert shared == [
        ["radiopaedia_10_85902_1", "radiopaedia_10_85902_3"],
        ["radiopaedia_29_86490_1", "radiopaedia_29_86491_1"],
    ]
    assert len(patients) == 18


def test_archives_and_what_was_unpacked_beside_them_are_not_read_twice(tmp_path: Path) -> None:
    make_zenodo(tmp_path)
    for archive in tmp_path.glob("*.zip"):
        shutil.unpack_archive(archive, archive.with_suffix(""))
    assert sorted(cases_in(tmp_path)) == NAMES


def test_a_mirror_with_mended_headers_is_left_alone(tmp_path: Path) -> None:
    name = "radiopaedia_7_85703_0"
    volumes = {"ct_scans": grey(name), "infection_mask": CLASSES, "lung_mask": LUNGS}
    for folder, axial in volumes.items():
        write_nifti(tmp_path / folder / f"{name}.nii", axial, "LPS")
    check_case(cases_in(tmp_path)[name], LUNGS > 0)


def test_lungs_are_optional(tmp_path: Path) -> None:
    make_zenodo(tmp_path)
    (tmp_path / "Lung_Mask.zip").unlink()
    assert all(item.lung is None for item in read(cases_in(tmp_path)["coronacases_001"]))


def test_files_of_other_data_sets_are_passed_over(tmp_path: Path) -> None:
    make_zenodo(tmp_path, packed=False)
    write_nifti(tmp_path / "rp_im" / "1.nii.gz", scan())
    write_nifti(tmp_path / "tr_im.nii.gz", scan())
    assert sorted(cases_in(tmp_path)) == NAMES


def test_a_scan_without_its_mask_is_named(tmp_path: Path) -> None:
    make_zenodo(tmp_path, packed=False)
    (tmp_path / "Infection_Mask" / "coronacases_003.nii.gz").unlink()
    with pytest.raises(UserError, match=r"^no mask for \S+20cases/coronacases_003\.nii\.gz: add"):
        cases_in(tmp_path)


@pytest.mark.parametrize("kind", ["Infection_Mask", "Lung_Mask"])
def test_a_mask_without_its_scan_is_named(kind: str, tmp_path: Path) -> None:
    make_zenodo(tmp_path, packed=False)
    (tmp_path / "COVID-19-CT-Seg_20cases" / "coronacases_003.nii.gz").unlink()
    with pytest.raises(UserError, match=rf"no image for \S+{kind}/coronacases_003\.nii\.gz"):
        cases_in(tmp_path)


def test_a_scan_under_two_names_is_named(tmp_path: Path) -> None:
    make_kaggle(tmp_path)
    write(tmp_path / "ct_scans" / "case009.nii", "coronacases_009", grey("coronacases_009"))
    with pytest.raises(UserError, match=r"org_009\.nii: \S+case009\.nii is the same case"):
        cases_in(tmp_path)


def test_nothing_found_says_what_is_there_and_what_is_expected(tmp_path: Path) -> None:
    write_nifti(tmp_path / "lung.nii.gz", scan())
    with pytest.raises(UserError) as caught:
        cases_in(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"--from {tmp_path}: no case found, but lung.nii.gz; expected ")
    assert "COVID-19-CT-Seg_20cases.zip" in message


def test_coronacases_in_grey_levels_are_refused(tmp_path: Path) -> None:
    name = "coronacases_002"
    write_nifti(tmp_path / "ct_scans" / f"{name}.nii", scan(1, 0, 256), "LAS")
    write_nifti(tmp_path / "infection_mask" / f"{name}.nii", CLASSES, "LAS")
    with pytest.raises(UserError, match=rf"{name}\.nii: its values, \d+ to \d+, hold no air"):
        read(cases_in(tmp_path)[name])


def test_the_false_header_is_what_the_test_says() -> None:
    assert "".join(nib.aff2axcodes(FALSE_AFFINE)) == "LAS"


def test_downloads_are_complete_and_checked() -> None:
    assert [download.file for download in SOURCE.downloads] == [
        "COVID-19-CT-Seg_20cases.zip", "Lung_Mask.zip", "Infection_Mask.zip",
    ]  # fmt: skip
    for download in SOURCE.downloads:
        assert download.url == f"https://zenodo.org/record/3757476/files/{download.file}"
        assert len(bytes.fromhex(download.sha256)) == 32


def test_the_card_tells_the_window_and_that_licences_conflict() -> None:
    assert SOURCE.intensity == LUNG_WINDOW
    assert "conflicting" in SOURCE.facts.licence
    assert dict(SOURCE.labels) == {1: "lesion"}
