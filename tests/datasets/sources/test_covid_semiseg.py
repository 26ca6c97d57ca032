"""COVID-SemiSeg as downloaded: lesions, palette classes, edges, and the pool without labels."""

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from image_files import classes, grey, only, smooth, write, write_palette, zip_folder

from datasets.card import DataCard
from datasets.data_folder import UNLABELLED, DataFolderWriter, DataSlice
from datasets.pairing import find_slices
from datasets.sources.covid_semiseg import BINARY, MULTI_CLASS, POOL, SOURCES
from datasets.sources.file_tree import FileTree
from datasets.sources.source import Source, SourceCase
from utils.errors import UserError

DOCTOR = "Dataset/TrainingSet/LungInfection-Train/Doctor-label"
PSEUDO = "Dataset/TrainingSet/LungInfection-Train/Pseudo-label"
CLASS_TRAIN = "Dataset/TrainingSet/MultiClassInfection-Train"
TEST = "Dataset/TestingSet/LungInfection-Test"
CLASS_TEST = "Dataset/TestingSet/MultiClassInfection-Test"
COLOURS = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0)}
REAL = os.environ.get("COVID_SEMISEG_DIR")


def cases_of(source: Source, root: Path) -> dict[str, SourceCase]:
    found = source.find_cases(FileTree(root))
    assert len({case.name for case in found}) == len(found)
    return {case.name: case for case in found}


def refusal(source: Source, root: Path) -> str:
    with pytest.raises(UserError) as caught:
        [list(case.read(8)) for case in source.find_cases(FileTree(root))]
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two training slices with edges and classes, one test slice, four slices of the pool."""
    root = tmp_path / "COVID-SemiSeg"
    for stem in ("3", "67"):
        write(root / DOCTOR / f"Imgs/{stem}.jpg", smooth(int(stem)))
        write(root / DOCTOR / f"GT/{stem}.png", classes(255, seed=int(stem)))
        write(root / DOCTOR / f"Edge/{stem}.png", classes(255, seed=90 + int(stem)))
        write(root / CLASS_TRAIN / f"Imgs/{stem}.jpg", smooth(int(stem)))
        label = classes(1, 2, seed=int(stem))
        write_palette(root / CLASS_TRAIN / f"GT/{stem}.png", label, COLOURS)
        write(root / CLASS_TRAIN / f"Prior/{stem}.png", grey())
    for part in (TEST, CLASS_TEST):
        write(root / part / "Imgs/4.jpg", smooth(7))
    write(root / TEST / "GT/4.png", classes(255, seed=7))
    for folder in ("GT", "GT-1", "GT-2"):
        write_palette(root / CLASS_TEST / f"{folder}/4.png", classes(1, 2, seed=7), COLOURS)
    for stem in (
        "Data-1_coronacases_org_001_10",
        "Data-1_coronacases_org_001_2",
        "Data-1_coronacases_org_010_2",
        "Data-2_radiopaedia_10_85902_3_44",
    ):
        write(root / PSEUDO / f"Imgs/{stem}.jpg", smooth(len(stem)))
        write(root / PSEUDO / f"GT/{stem}.png", classes(255))  # a network's, not a reader's
    return root


@pytest.mark.parametrize("packed", [False, True])
def test_lesions_come_with_image_edge_and_split(packed: bool, root: Path) -> None:
    image = cv2.imread(str(root / DOCTOR / "Imgs/67.jpg"), cv2.IMREAD_UNCHANGED)
    cases = cases_of(BINARY, zip_folder(root) if packed else root)
    splits = {name: case.split for name, case in cases.items()}
    assert splits == {"semiseg_003": "train", "semiseg_067": "train", "semiseg_004": "test"}
    assert [case.patient for case in cases.values()] == list(cases)
    assert not any(case.is_volume for case in cases.values())
    item = only(cases["semiseg_067"])
    np.testing.assert_array_equal(item.image, image.T)
    np.testing.assert_array_equal(item.label, classes(255, seed=67).T // 255)
    np.testing.assert_array_equal(item.edge, classes(255, seed=157).T == 255)
    assert item.lung is None
    assert only(cases["semiseg_004"]).edge is None


def test_classes_are_told_by_the_luma_of_their_palette(root: Path) -> None:
    cases = cases_of(MULTI_CLASS, root)
    assert {name: case.split for name, case in cases.items()} == {
        "semiseg_003": "train",
        "semiseg_067": "train",
        "semiseg_004": "test",
    }
    for name, seed in (("semiseg_003", 3), ("semiseg_067", 67), ("semiseg_004", 7)):
        np.testing.assert_array_equal(only(cases[name]).label, classes(1, 2, seed=seed).T)
    assert set(MULTI_CLASS.labels) == {1, 2}
    assert MULTI_CLASS.labels[1].startswith("ground-glass")


def test_a_number_in_both_parts_is_two_slices(root: Path) -> None:
    write(root / TEST / "Imgs/3.jpg", smooth(8))
    write(root / TEST / "GT/3.png", classes(255, seed=8))
    cases = cases_of(BINARY, root)
    assert {name: case.split for name, case in cases.items()} == {
        "semiseg_train_003": "train",
        "semiseg_067": "train",
        "semiseg_test_003": "test",
        "semiseg_004": "test",
    }
    np.testing.assert_array_equal(
        only(cases["semiseg_test_003"]).label, classes(255, seed=8).T // 255
    )


def test_classes_in_grey_are_the_same(root: Path) -> None:
    write(root / CLASS_TRAIN / "GT/3.png", classes(38, 75, seed=3))
    np.testing.assert_array_equal(
        only(cases_of(MULTI_CLASS, root)["semiseg_003"]).label, classes(1, 2, seed=3).T
    )


def test_the_pool_is_of_scans_without_labels(root: Path) -> None:
    cases = cases_of(POOL, root)
    assert {name: case.patient for name, case in cases.items()} == {
        "Data-1_coronacases_org_001": "coronacases_001",
        "Data-1_coronacases_org_010": "coronacases_010",
        "Data-2_radiopaedia_10_85902_3": "radiopaedia_10",
    }
    assert {case.split for case in cases.values()} == {UNLABELLED}
    slices = list(cases["Data-1_coronacases_org_001"].read(8))
    assert [item.index for item in slices] == [2, 10]
    assert all(item.label is None and item.edge is None for item in slices)
    image = cv2.imread(
        str(root / PSEUDO / "Imgs/Data-1_coronacases_org_001_2.jpg"), cv2.IMREAD_UNCHANGED
    )
    np.testing.assert_array_equal(slices[0].image, np.rot90(image))


def test_a_slice_without_label_is_written_without_mask(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    writer = DataFolderWriter(out)
    labelled = only(cases_of(BINARY, root)["semiseg_003"])
    item = next(cases_of(POOL, root)["Data-1_coronacases_org_001"].read(8))
    writer.add(DataSlice("a", "a", "a", "s", 0, labelled.image, labelled.label))
    writer.add(DataSlice("b_z002", "b", "b", "s", 2, item.image, item.label))
    summary = writer.finish(
        {"a": "train", "b_z002": UNLABELLED}, DataCard((), None, 8, {1: "lesion"})
    )
    assert (out / "unlabelled/image/b_z002.png").is_file()
    assert [path.name for path in (out / "unlabelled").iterdir()] == ["image"]
    assert summary.slices_per_split == {"train": 1, UNLABELLED: 1}
    assert summary.num_empty == 0
    rows = (out / "manifest.csv").read_text().splitlines()
    assert rows[2] == "b_z002.png,unlabelled,b,b,s,2,32,24,,,"
    assert [files.name for files in find_slices(out, "train")] == ["a"]


def test_the_training_part_alone_will_do(root: Path) -> None:
    for source in (BINARY, MULTI_CLASS):
        cases = cases_of(source, root / "Dataset/TrainingSet")
        assert {case.split for case in cases.values()} == {"train"}
        assert len(cases) == 2


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.facts.name)
def test_another_folder_is_refused_with_what_is_there(source: Source, tmp_path: Path) -> None:
    write(tmp_path / "x/Imgs/1.png", grey())
    message = refusal(source, tmp_path)
    assert str(tmp_path) in message
    assert "x/Imgs/1.png" in message
    assert "LungInfection" in message or "MultiClassInfection" in message


def test_an_image_without_mask_is_named(root: Path) -> None:
    (root / DOCTOR / "GT/67.png").unlink()
    assert "67.jpg" in refusal(BINARY, root)


def test_a_mask_without_image_is_named(root: Path) -> None:
    (root / CLASS_TRAIN / "Imgs/67.jpg").unlink()
    assert "67.png" in refusal(MULTI_CLASS, root)


@pytest.mark.parametrize("name", ["GT/3.png", "Edge/3.png"])
def test_a_mask_or_edge_of_another_size_is_named(name: str, root: Path) -> None:
    path = write(root / DOCTOR / name, np.zeros((24, 31), np.uint8))
    message = refusal(BINARY, root)
    assert message.startswith(f"{path}: another size")
    assert "31 x 24 against 32 x 24 px" in message


@pytest.mark.parametrize("packed", [False, True])
def test_unknown_classes_are_named(packed: bool, root: Path) -> None:
    write(root / CLASS_TRAIN / "GT/3.png", classes(38, 76, 113))
    message = refusal(MULTI_CLASS, zip_folder(root) if packed else root)
    assert re.search(r"GT/3\.png: unexpected mask values 76, 113; expected 0, 38, 75$", message)
    assert ("COVID-SemiSeg.zip:" in message) == packed


def test_a_mask_of_zero_and_one_is_refused_rather_than_emptied(root: Path) -> None:
    write(root / DOCTOR / "GT/3.png", classes(1))
    assert "values 0 and 1" in refusal(BINARY, root)


def test_a_truncated_jpeg_is_named_as_in_the_archive(root: Path) -> None:
    path = root / DOCTOR / "Imgs/3.jpg"
    path.write_bytes(b"\xff\xd8")
    message = refusal(BINARY, zip_folder(root))
    assert "COVID-SemiSeg.zip:Dataset/TrainingSet" in message
    assert "3.jpg: not a readable image" in message


def test_two_files_of_one_slice_of_the_pool_are_named(root: Path) -> None:
    write(root / PSEUDO / "Imgs/Data-1_coronacases_org_001_02.jpg", grey())
    assert "the same slice, 2 of Data-1_coronacases_org_001" in refusal(POOL, root)


@pytest.mark.skipif(REAL is None, reason="COVID_SEMISEG_DIR names no copy of the data set")
def test_the_real_data_set_is_read() -> None:
    root = Path(REAL)
    lesion, two = cases_of(BINARY, root), cases_of(MULTI_CLASS, root)
    assert {case.split for case in lesion.values()} <= {"train", "test"}
    train = [name for name in lesion if lesion[name].split == "train"]
    assert len(train) == 50
    for name in train:
        item, classed = only(lesion[name]), only(two[name])
        np.testing.assert_array_equal(item.image, classed.image)
        np.testing.assert_array_equal(item.label > 0, classed.label > 0)
        assert item.edge.any()
    pool = cases_of(POOL, root)
    assert sum(case.num_slices for case in pool.values()) >= 160
    assert all(item.label is None for case in pool.values() for item in case.read(8))
