"""Every fault of a data folder is told at once, with the file's name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets.card import DataCard, SourceFacts
from datasets.data_folder import DataFolderWriter, DataSlice
from datasets.intensity import LUNG_WINDOW
from preparation.checks.folder import check_folder, inspect_folder
from tests.preparation.checks.folder_faults import FAULTS, add_row, read, truncate, write
from tests.preparation.conversion.drawn_cases import draw


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A sound folder: patients a, b in train, c in val, d in test, two slices each, with lungs."""
    folder = tmp_path / "data"
    folder.mkdir()
    writer, splits = DataFolderWriter(folder), {}
    for patient, split in {"a": "train", "b": "train", "c": "val", "d": "test"}.items():
        for index in range(2):
            image = draw(10 * ord(patient) + index)
            label = np.zeros(image.shape, np.uint8)
            label[20:30] = 1
            lung = np.zeros(image.shape, bool)
            lung[10:40] = True
            name = f"{patient}_z{index:03d}"
            writer.add(DataSlice(name, patient, patient, "own", index, image, label, lung))
            splits[name] = split
    facts = SourceFacts("own", "Own scans", "CC0", "Nobody")
    writer.finish(splits, DataCard((facts,), LUNG_WINDOW, 8, {1: "lesion"}))
    return folder


def test_a_sound_folder_has_no_problem(root: Path) -> None:
    found = inspect_folder(root)
    assert found.problems == []
    assert found.notes == []
    assert found.counts == [
        "train: 4 slices of 2 patients, 0 without lesion",
        "val: 2 slices of 1 patient, 0 without lesion",
        "test: 2 slices of 1 patient, 0 without lesion",
    ]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_with_the_file_and_nothing_else_is(fault: str, root: Path) -> None:
    damage, expected = FAULTS[fault]
    damage(root)
    problems = check_folder(root)
    assert len(problems) == len(expected), problems
    for part in expected:
        assert any(part in problem for problem in problems), problems
        assert all(problem.startswith(str(root)) for problem in problems)


def test_many_faults_are_told_at_once(root: Path) -> None:
    (root / "val/image/c_z000.png").unlink()
    (root / "train/mask/a_z000.png").unlink()
    truncate(root / "val/image/c_z001.png")
    truncate(root / "test/mask/d_z000.png")
    add_row(root, "e_z000.png,train,b")
    problems = check_folder(root)
    for part in (
        "train/image/a_z000.png: its mask",
        "val/image/c_z001.png: a truncated",
        "test/mask/d_z000.png: a truncated",
        "val/mask/c_z000.png: its image",
        "manifest.csv:10",
    ):
        assert any(part in problem for problem in problems), (part, problems)


def test_a_patient_in_two_splits_is_a_problem_unless_allowed(root: Path) -> None:
    path = root / "manifest.csv"
    path.write_text(path.read_text().replace("d_z000.png,test,d", "d_z000.png,test,a"))
    (root / "splits.json").unlink()
    line = f"{root}: patient a stands in train and test"
    assert check_folder(root) == [line]
    allowed = inspect_folder(root, allow_leak=True)
    assert allowed.problems == []
    assert allowed.notes == [line]


def test_without_a_manifest_patients_are_told_by_names(root: Path) -> None:
    (root / "manifest.csv").unlink()
    found = inspect_folder(root)
    assert found.problems == []
    assert "patients are told by the file names" in found.notes[0]
    assert found.counts[0] == "train: 4 slices of 2 patients, 0 without lesion"


def test_lesion_outside_of_the_lung_is_a_note(root: Path) -> None:
    lung = np.zeros((64, 64), np.uint8)
    lung[25:40] = 255  # half of the lesion of one of two slices
    write(root / "val/lung/c_z000.png", lung)
    found = inspect_folder(root)
    assert found.problems == []
    assert found.notes == [f"{root / 'val'}: 25.0% of the lesion px lie outside of the lung masks"]


def test_named_lesion_values_are_expected(root: Path) -> None:
    for path in (root / "val/mask").iterdir():
        write(path, read(path) // 255 * 2)
    assert len(check_folder(root)) == 2
    assert len(inspect_folder(root, lesion_values=[2, 255]).problems) == 0


@pytest.mark.parametrize("name", ["nowhere", "data/train"])
def test_a_place_that_is_no_data_folder_is_told(name: str, root: Path) -> None:
    (problem,) = check_folder(root.parent / name)
    assert problem.startswith(f"{root.parent / name}: no data folder, none of ")


def test_an_empty_split_is_told(root: Path) -> None:
    for path in list((root / "val").rglob("*.png")):
        path.unlink()
    problems = check_folder(root)
    assert f"{root / 'val/image'}: no images" in problems[0]


def test_a_folder_of_folds_says_where_to_look(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"fold{number}" / "train").mkdir(parents=True)
    (problem,) = check_folder(tmp_path)
    assert problem.endswith(", ".join(str(tmp_path / f"fold{number}") for number in range(3)))


def test_a_manifest_of_other_images_is_one_problem_per_split(root: Path) -> None:
    (root / "manifest.csv").write_text("file,patient\nother.png,a\n")
    (root / "splits.json").unlink()
    problems = check_folder(root)
    assert [problem.partition(": ")[2].partition(":")[0] for problem in problems] == [
        "names none of the 4 images of train",
        "names none of the 2 images of val",
        "names none of the 2 images of test",
    ]


def test_a_name_that_would_break_the_line_is_escaped(root: Path, run_script: Callable) -> None:
    (root / "splits.json").write_text('{"train": ["a", "b", "x\\ny"], "val": ["c"], "test": ["d"]}')
    finished = run_script("prepare.py", "check", root)
    assert finished.code == 2
    told, error = finished.err.splitlines()
    assert told.endswith(r"splits.json: train lists x\ny, of whom there is no slice")
    assert error.startswith("error: ")
