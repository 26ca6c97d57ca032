"""Kaggle's frames and masks: scans and patients by their names."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from image_files import classes, grey, only, write, zip_folder

from datasets.sources.file_tree import FileTree
from datasets.sources.kaggle_lesions import SOURCE
from datasets.sources.source import SourceCase
from utils.errors import UserError

STEMS = (
    "bjorke_2",
    "bjorke_10",
    "Morozov_study_0255_12",
    "Morozov_study_0255_9",
    "Jun_coronacases_case1_119",
    "Jun_radiopaedia_10_85902_1_case11_40",
    "Jun_radiopaedia_10_85902_3_case12_107",
    "Jun_radiopaedia_29_86490_1_case17_3",
    "Jun_radiopaedia_29_86491_1_case18_3",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "archive"
    for seed, stem in enumerate(STEMS):
        write(root / f"frames/{stem}.png", grey(seed))
        write(root / f"masks/{stem}.png", classes(255, seed=seed))
    return root


def cases_of(root: Path) -> dict[str, SourceCase]:
    return {case.name: case for case in SOURCE.find_cases(FileTree(root))}


def refusal(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        [list(case.read(8)) for case in SOURCE.find_cases(FileTree(root))]
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
def test_scans_and_patients_are_told_by_name(packed: bool, root: Path) -> None:
    cases = cases_of(zip_folder(root) if packed else root)
    assert {name: (case.patient, case.is_volume) for name, case in cases.items()} == {
        "bjorke_2": ("bjorke_2", False),
        "bjorke_10": ("bjorke_10", False),
        "Morozov_study_0255": ("study_0255", True),
        "Jun_coronacases_case1": ("coronacases_001", True),
        "Jun_radiopaedia_10_85902_1_case11": ("radiopaedia_10", True),
        "Jun_radiopaedia_10_85902_3_case12": ("radiopaedia_10", True),
        "Jun_radiopaedia_29_86490_1_case17": ("radiopaedia_29", True),
        "Jun_radiopaedia_29_86491_1_case18": ("radiopaedia_29", True),
    }
    assert {case.split for case in cases.values()} == {None}


def test_slices_come_in_the_order_of_their_numbers(root: Path) -> None:
    case = cases_of(root)["Morozov_study_0255"]
    slices = list(case.read(8))
    assert case.num_slices == 2
    assert [item.index for item in slices] == [9, 12]
    for item, seed in zip(slices, (3, 2), strict=True):
        np.testing.assert_array_equal(item.image, grey(seed))
        np.testing.assert_array_equal(item.label, classes(255, seed=seed) // 255)


def test_sixteen_bits_span_the_same_range(root: Path) -> None:
    item = only(cases_of(root)["bjorke_2"], bits=16)
    assert item.image.dtype == np.uint16
    np.testing.assert_array_equal(item.image, grey(0) * np.uint16(257))


def test_borders_of_resized_masks_are_cut_above_128(root: Path) -> None:
    mask = np.tile(np.array([0, 127, 128, 129, 255, 0, 0, 0], np.uint8), (24, 4))
    write(root / "masks/bjorke_2.png", mask)
    np.testing.assert_array_equal(only(cases_of(root)["bjorke_2"]).label, mask > 128)


def test_an_empty_mask_is_a_slice_without_lesion(root: Path) -> None:
    write(root / "masks/bjorke_2.png", np.zeros((24, 32), np.uint8))
    assert not only(cases_of(root)["bjorke_2"]).label.any()


def test_a_name_of_nobody_is_refused(root: Path) -> None:
    for folder in ("frames", "masks"):
        os.rename(root / folder / "bjorke_2.png", root / folder / "someone_2.png")
    message = refusal(root)
    assert "frames/someone_2.png" in message
    assert "generic" in message


def test_a_frame_without_mask_is_named(root: Path) -> None:
    (root / "masks/bjorke_10.png").unlink()
    assert "bjorke_10.png" in refusal(root)


def test_a_coloured_frame_is_refused(root: Path) -> None:
    write(root / "frames/bjorke_2.png", np.dstack([grey(1), grey(2), grey(3)]))
    assert refusal(root).endswith("bjorke_2.png: a coloured image; store one grey channel")


def test_a_truncated_frame_is_named(root: Path) -> None:
    path = root / "frames/bjorke_2.png"
    path.write_bytes(path.read_bytes()[:-20])
    message = refusal(zip_folder(root))
    assert re.search(r"archive\.zip:frames/bjorke_2\.png: a truncated", message)


def test_another_folder_is_refused_with_what_is_there(tmp_path: Path) -> None:
    write(tmp_path / "images/1.png", grey())
    message = refusal(tmp_path)
    assert "images/1.png" in message
    assert "frames/*.png" in message
