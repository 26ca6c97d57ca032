"""COVID-QU-Ex, QaTa-COV19 and the sets of lungs, in miniature."""

from pathlib import Path

import numpy as np
import pytest
from image_files import SHAPE, classes, grey, only, write, zip_folder

from datasets.data_folder import UNLABELLED
from datasets.sources import SOURCES, covid_qu_ex, qata_cov19, xray_lungs
from datasets.sources.file_tree import FileTree
from datasets.sources.source import Source, SourceCase
from utils.errors import UserError

LEFT, RIGHT = np.zeros((2, *SHAPE), np.uint8)
LEFT[4:20, 18:28] = RIGHT[4:20, 4:14] = 255


def cases_of(source: Source, root: Path) -> dict[str, SourceCase]:
    return {case.name: case for case in source.find_cases(FileTree(root))}


def refusal(source: Source, root: Path) -> str:
    with pytest.raises(UserError) as caught:
        [list(case.read(8)) for case in source.find_cases(FileTree(root))]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_qu_ex(root: Path) -> Path:
    part = root / "archive/Infection Segmentation Data/Infection Segmentation Data"
    for split in ("Train", "Val", "Test"):
        for seed, group in enumerate(("COVID-19", "Non-COVID", "Normal")):
            stem = f"{group} ({len(split)})"  # as the set's own names, with blanks and brackets
            mask = classes(255, seed=seed) * (group == "COVID-19")
            for kind, pixels in (
                ("images", grey(seed)), ("infection masks", mask), ("lung masks", LEFT | RIGHT),
            ):  # fmt: skip
                write(part / split / group / kind / f"{stem}.png", pixels)
    other = root / "archive/Lung Segmentation Data/Lung Segmentation Data/Train/Normal"
    write(other / "images/Normal (5).png", grey(9))
    write(other / "lung masks/Normal (5).png", LEFT)
    return root


@pytest.mark.parametrize("packed", [False, True])
def test_qu_ex_has_splits_groups_infections_and_lungs(packed: bool, tmp_path: Path) -> None:
    root = write_qu_ex(tmp_path / "downloads")
    cases = cases_of(covid_qu_ex.SOURCE, zip_folder(root) if packed else root)
    assert {name: case.split for name, case in cases.items()} == {
        "covid_COVID_19_5": "train", "covid_COVID_19_3": "val", "covid_COVID_19_4": "test",
        "noncovid_Non_COVID_5": "train", "noncovid_Non_COVID_3": "val",
        "noncovid_Non_COVID_4": "test", "normal_Normal_5": "train", "normal_Normal_3": "val",
        "normal_Normal_4": "test",
    }  # fmt: skip
    item = only(cases["covid_COVID_19_5"])
    np.testing.assert_array_equal(item.label, classes(1))
    np.testing.assert_array_equal(item.lung, (LEFT | RIGHT) > 0)
    assert not only(cases["normal_Normal_5"]).label.any()


def test_qu_ex_without_a_mask_is_refused(tmp_path: Path) -> None:
    root = write_qu_ex(tmp_path)
    next(root.rglob("Val/Normal/infection masks/*.png")).unlink()
    assert "no mask for" in refusal(covid_qu_ex.SOURCE, root)


def write_qata(root: Path) -> Path:
    names = {
        "Train Set": ("covid_1", "sub-S03047_ses-E07985_run-1_bp-chest_vp-ap_dx"),
        "Test Set": ("covid_2", "sub-S03047_ses-E08000_run-1_bp-chest_vp-ap_cr"),
    }
    for folder, stems in names.items():
        for stem in stems:
            place = root / "QaTa-COV19/QaTa-COV19-v2" / folder
            write(place / f"Images/{stem}.png", grey(len(stem)))
            write(place / f"Ground-truths/mask_{stem}.png", classes(255))
    return root


def test_qata_has_its_parts_and_the_patients_that_names_tell(tmp_path: Path) -> None:
    cases = cases_of(qata_cov19.SOURCE, write_qata(tmp_path))
    assert {(case.name[:9], case.patient, case.split) for case in cases.values()} == {
        ("covid_1", "covid_1", "train"), ("covid_2", "covid_2", "test"),
        ("sub-S0304", "sub-S03047", "train"), ("sub-S0304", "sub-S03047", "test"),
    }  # fmt: skip
    np.testing.assert_array_equal(only(cases["covid_1"]).label, classes(1))
    assert only(cases["covid_1"]).lung is None


def test_montgomery_and_shenzhen_make_lungs_the_target(tmp_path: Path) -> None:
    montgomery, shenzhen = tmp_path / "MontgomerySet", tmp_path / "ChinaSet_AllFiles"
    write(montgomery / "CXR_png/MCUCXR_0001_0.png", grey(1))
    write(montgomery / "ManualMask/leftMask/MCUCXR_0001_0.png", LEFT)
    write(montgomery / "ManualMask/rightMask/MCUCXR_0001_0.png", RIGHT)
    write(shenzhen / "CXR_png/CHNCXR_0327_1.png", np.repeat(grey(2)[..., None], 3, 2))
    write(shenzhen / "mask/CHNCXR_0327_1_mask.png", RIGHT)
    write(shenzhen / "CXR_png/CHNCXR_0330_1.png", grey(3))
    cases = cases_of(xray_lungs.SOURCE, tmp_path)
    assert {name: case.split for name, case in cases.items()} == {
        "MCUCXR_0001_0": None, "CHNCXR_0327_1": None, "CHNCXR_0330_1": UNLABELLED,
    }  # fmt: skip
    np.testing.assert_array_equal(only(cases["MCUCXR_0001_0"]).label, ((LEFT | RIGHT) > 0) * 1)
    np.testing.assert_array_equal(only(cases["CHNCXR_0327_1"]).label, (RIGHT > 0) * 1)
    np.testing.assert_array_equal(only(cases["CHNCXR_0327_1"]).image, grey(2))
    assert only(cases["CHNCXR_0330_1"]).label is None


def test_lungs_under_equal_names_are_paired(tmp_path: Path) -> None:
    for name, mask in (("MCUCXR_0002_0", LEFT), ("CHNCXR_0001_0", RIGHT)):
        write(tmp_path / f"Lung Segmentation/images/{name}.png", grey(1))
        write(tmp_path / f"Lung Segmentation/masks/{name}.png", mask)
    cases = cases_of(xray_lungs.SOURCE, tmp_path)
    np.testing.assert_array_equal(only(cases["MCUCXR_0002_0"]).label, (LEFT > 0) * 1)
    np.testing.assert_array_equal(only(cases["CHNCXR_0001_0"]).label, (RIGHT > 0) * 1)


def test_half_a_lung_mask_and_a_mask_without_image_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "CXR_png/MCUCXR_0001_0.png", grey(1))
    write(tmp_path / "ManualMask/leftMask/MCUCXR_0001_0.png", LEFT)
    assert "the mask of the other lung is missing" in refusal(xray_lungs.SOURCE, tmp_path)
    write(tmp_path / "ManualMask/rightMask/MCUCXR_0001_0.png", RIGHT[:9])
    assert "another size than" in refusal(xray_lungs.SOURCE, tmp_path)
    write(tmp_path / "masks/MCUCXR_0009_0.png", LEFT)
    assert "there is no image MCUCXR_0009_0" in refusal(xray_lungs.SOURCE, tmp_path)


@pytest.mark.parametrize("name", ["xray-covid", "covid-qu-ex", "qata-cov19", "xray-lungs"])
def test_an_empty_folder_is_told_what_is_expected(name: str, tmp_path: Path) -> None:
    write(tmp_path / "else.png", grey())
    assert "no case found, but else.png; expected" in refusal(SOURCES[name], tmp_path)
