"""The writer of data folders: names, order, splits and folds, with threads and without."""

import csv
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.card import DataCard, SourceFacts, read_card
from datasets.data_folder import (
    MANIFEST_COLUMNS,
    UNLABELLED,
    DataFolderWriter,
    DataSlice,
    FolderSummary,
)
from datasets.pairing import find_slices
from utils.errors import UserError

CARD = DataCard((SourceFacts("own", "Own", "CC0", "Nobody"),), None, 8, {1: "lesion"})


def make_slice(name: str = "a_z000", patient: str = "a", **changes: object) -> DataSlice:
    label = np.zeros((6, 8), np.uint8)
    label[:2, :3] = 2
    image = np.full((6, 8), 9, np.uint8)
    image[0] = np.arange(8) + sum(name.encode()) % 200
    return DataSlice(name, patient, patient, "own", 0, image, label)._replace(**changes)


@pytest.fixture(params=["alone", "threads"])
def pool(request: pytest.FixtureRequest) -> Iterator[Executor | None]:
    if request.param == "alone":
        yield None
    else:
        with ThreadPoolExecutor(3) as threads:
            yield threads


@pytest.fixture
def write(tmp_path: Path, pool: Executor | None) -> Callable[..., FolderSummary]:
    """Write slices to tmp_path, each with its split."""

    def finish(*placed: tuple[DataSlice, str]) -> FolderSummary:
        writer = DataFolderWriter(tmp_path, pool)
        for item, _ in placed:
            writer.add(item)
        return writer.finish({item.name: split for item, split in placed}, CARD)

    return finish


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def rows(root: Path) -> list[dict[str, str]]:
    with (root / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_every_kind_of_image_lands_in_its_folder(write: Callable, tmp_path: Path) -> None:
    lung, edge = np.zeros((6, 8), bool), np.zeros((6, 8), np.uint8)
    lung[:4], edge[2] = True, 7
    item = make_slice(lung=lung, edge=edge)
    write((item, "val"))
    names = {"image", "mask", "label", "lung", "mask_"}
    assert {path.name for path in (tmp_path / "val").iterdir()} == names
    stored = {name: read(tmp_path / "val" / name / "a_z000.png") for name in names}
    assert np.array_equal(stored["image"], item.image)
    assert np.array_equal(stored["label"], item.label)
    assert np.array_equal(stored["mask"], (item.label > 0) * 255)
    assert np.array_equal(stored["lung"], lung * 255)
    assert np.array_equal(stored["mask_"], (edge > 0) * 255)
    assert not (tmp_path / ".pool").exists()


def test_the_manifest_lists_slices_in_the_order_they_were_added(
    write: Callable, tmp_path: Path
) -> None:
    names = [f"{'zma'[number % 3]}_z{number:03d}" for number in range(40)]
    write(*((make_slice(name, name[0]), "train") for name in names))
    assert [row["file"] for row in rows(tmp_path)] == [f"{name}.png" for name in names]
    assert len(find_slices(tmp_path, "train")) == 40


def test_the_manifest_says_what_is_known_of_a_slice(write: Callable, tmp_path: Path) -> None:
    lung = np.ones((6, 8), bool)
    item = make_slice(lung=lung, spacing=(0.70312, 0.8, 5.0), index=12, case="scan")
    write((item, "test"), (make_slice("b"), "train"))
    assert tuple(rows(tmp_path)[0]) == MANIFEST_COLUMNS
    assert list(rows(tmp_path)[0].values()) == [
        "a_z000.png", "test", "a", "scan", "own", "12", "6", "8", "0.7031x0.8x5", "6", "48",
    ]  # fmt: skip
    assert rows(tmp_path)[1]["spacing_mm"] == rows(tmp_path)[1]["lung_px"] == ""


def test_splits_and_card_are_written(write: Callable, tmp_path: Path) -> None:
    placed = [(make_slice("b0", "b"), "train"), (make_slice("a0", "a"), "train")]
    summary = write(*placed, (make_slice("c0", "c", label=np.zeros((6, 8), np.uint8)), "test"))
    splits = json.loads((tmp_path / "splits.json").read_text())
    assert splits == {"train": ["a", "b"], "test": ["c"]}
    assert read_card(tmp_path) == CARD
    assert summary == FolderSummary(3, {"train": 2, "test": 1}, 1)


def test_an_unlabelled_slice_has_an_image_alone(write: Callable, tmp_path: Path) -> None:
    summary = write((make_slice("a"), "train"), (make_slice("u", label=None), UNLABELLED))
    assert os.listdir(tmp_path / UNLABELLED) == ["image"]
    assert summary == FolderSummary(2, {"train": 1, UNLABELLED: 1}, 0)
    assert rows(tmp_path)[1]["lesion_px"] == ""


@pytest.mark.parametrize("name", ["a", "A"])
def test_a_second_slice_of_a_name_is_refused(
    name: str, pool: Executor | None, tmp_path: Path
) -> None:
    writer = DataFolderWriter(tmp_path, pool)
    writer.add(make_slice("a"))
    with pytest.raises(UserError, match=f"{name}: a second slice of this name"):
        writer.add(make_slice(name))


def test_slices_can_be_taken_back(pool: Executor | None, tmp_path: Path) -> None:
    writer = DataFolderWriter(tmp_path, pool)
    for name in "abc":
        writer.add(make_slice(name))
    writer.remove({"a", "c"})
    writer.add(make_slice("a", patient="anew"))
    assert [item.name for item in writer.written] == ["b", "a"]
    writer.finish({"a": "train", "b": "train"}, CARD)
    assert {path.name for path in (tmp_path / "train/image").iterdir()} == {"a.png", "b.png"}
    assert [row["patient"] for row in rows(tmp_path)] == ["a", "anew"]


def test_a_disk_that_refuses_is_told(pool: Executor | None, tmp_path: Path) -> None:
    writer = DataFolderWriter(tmp_path, pool)
    (tmp_path / ".pool").mkdir()
    (tmp_path / ".pool" / "image").mkdir()
    (tmp_path / ".pool" / "image" / "a.png").mkdir()  # no file can be written there

    def write_both() -> list:
        writer.add(make_slice("a"))
        writer.add(make_slice("b"))
        return writer.written  # a thread tells by now

    with pytest.raises(IsADirectoryError):
        write_both()


def test_folds_hold_the_same_files_under_their_own_splits(
    pool: Executor | None, tmp_path: Path
) -> None:
    writer = DataFolderWriter(tmp_path, pool)
    for name in "abc":
        writer.add(make_slice(name, name))
    folds = {
        "fold0": {"a": "test", "b": "val", "c": "train"},
        "fold1": {"a": "train", "b": "test", "c": "test"},
    }
    summary = writer.finish_folds(folds, CARD)
    assert summary == FolderSummary(3, {"fold0": 1, "fold1": 2}, 0)
    assert sorted(os.listdir(tmp_path)) == ["fold0", "fold1"]
    for fold, splits in folds.items():
        assert {row["file"][0]: row["split"] for row in rows(tmp_path / fold)} == splits
        assert read_card(tmp_path / fold) == CARD
    first, second = tmp_path / "fold0/test/image/a.png", tmp_path / "fold1/train/image/a.png"
    assert first.samefile(second)


def test_folds_are_copied_where_the_disk_has_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    writer = DataFolderWriter(tmp_path)
    writer.add(make_slice("a"))
    writer.finish_folds({"fold0": {"a": "test"}, "fold1": {"a": "train"}}, CARD)
    first, second = tmp_path / "fold0/test/image/a.png", tmp_path / "fold1/train/image/a.png"
    assert first.read_bytes() == second.read_bytes()
    assert not first.samefile(second)
