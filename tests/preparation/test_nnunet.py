"""The raw layout of nnU-Net v2."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from datasets.card import DataCard
from datasets.data_folder import DataFolderWriter, DataSlice
from datasets.image_io import read_gray, write_png
from datasets.intensity import LUNG_WINDOW
from tests.class_data import VALUES, add_classes
from tests.conftest import write_slices

SPACING = (0.8, 0.7, 5.0)  # of rows, columns, slices
AXES = (0.7, 0.8, 5.0)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def read(path: Path) -> dict | list:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def volumes(tmp_path: Path) -> tuple[Path, dict]:
    """A data folder of scans in the lung window, and HU and mask of each, (slices, H, W)."""
    root = tmp_path / "prepared"
    root.mkdir()
    writer, scans, rng = DataFolderWriter(root), {}, np.random.default_rng(0)
    for number in range(4):
        name = f"scan_{number}"
        hu = rng.normal(-800, 60, (7, 40, 48)).astype(np.int16)
        mask = np.zeros(hu.shape, np.uint8)
        mask[2:5, 10 : 20 + number, 20:30] = 1
        hu[mask > 0] = -300
        scans[name] = hu, mask
        for index in range(len(hu)):
            image = LUNG_WINDOW.apply(hu[index])
            place = (f"{name}_z{index:03d}", name, name, "mine", index)
            writer.add(DataSlice(*place, image, mask[index], spacing=SPACING))
    splits = dict(zip(scans, ("train", "train", "val", "test"), strict=True))
    split_of = {item.name: splits[item.case] for item in writer.written}
    writer.finish(split_of, DataCard((), LUNG_WINDOW, 8, {1: "lesion"}))
    return root, scans


def test_volumes_come_back_as_they_were_prepared(
    run_script: Callable, volumes: tuple[Path, dict], tmp_path: Path
) -> None:
    root, scans = volumes
    out = tmp_path / "Dataset501_Scans"
    finished = run_script("prepare.py", "nnunet", root, "--out", out)
    assert finished.code == 0, finished.err
    assert "volumes (train" in finished.out
    splits = read(root / "splits.json")
    trained = sorted(splits["train"] + splits["val"])
    assert names(out / "imagesTr") == [f"{name}_0000.nii.gz" for name in trained]
    assert names(out / "labelsTr") == [f"{name}.nii.gz" for name in trained]
    assert names(out / "imagesTs") == [f"{name}_0000.nii.gz" for name in splits["test"]]
    assert read(out / "splits_final.json") == [{"train": splits["train"], "val": splits["val"]}]
    description = read(out / "dataset.json")
    assert description["channel_names"] == {"0": "CT"}
    assert description["labels"] == {"background": 0, "lesion": 1}
    assert description["numTraining"] == len(trained)
    assert description["file_ending"] == ".nii.gz"
    assert description["overwrite_image_reader_writer"] == "SimpleITKIO"
    for place, own in (("Tr", trained), ("Ts", splits["test"])):
        for name in own:
            image = nib.load(out / f"images{place}" / f"{name}_0000.nii.gz")
            label = nib.load(out / f"labels{place}" / f"{name}.nii.gz")
            hu, mask = scans[name]
            assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
            assert image.header.get_zooms() == pytest.approx(AXES)
            np.testing.assert_array_equal(image.affine, label.affine)
            np.testing.assert_array_equal(label.get_fdata(), mask.transpose(2, 1, 0))
            # A level of 8 bits is 5.9 HU.
            assert np.abs(image.get_fdata() - hu.transpose(2, 1, 0)).max() <= 4


def test_slices_without_a_distance_are_pictures_split_as_they_were(
    run_script: Callable, data_root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    finished = run_script("prepare.py", "nnunet", data_root, "--out", out)
    assert finished.code == 0, finished.err
    assert "slices (train 8, val 4, test 4); labels 0 background, 1 lesion" in finished.out
    assert "does not give" in finished.out
    folds = read(out / "splits_final.json")
    stems = {
        split: sorted(path.stem for path in (data_root / split / "image").iterdir())
        for split in ("train", "val", "test")
    }
    assert folds == [{"train": stems["train"], "val": stems["val"]}]
    assert names(out / "imagesTs") == [f"{stem}_0000.png" for stem in stems["test"]]
    description = read(out / "dataset.json")
    assert description["overwrite_image_reader_writer"] == "NaturalImage2DIO"
    assert description["channel_names"] == {"0": "grey levels"}
    for split, place in (("train", "Tr"), ("val", "Tr"), ("test", "Ts")):
        for stem in stems[split]:
            image = read_gray(out / f"images{place}" / f"{stem}_0000.png")
            label = read_gray(out / f"labels{place}" / f"{stem}.png")
            np.testing.assert_array_equal(image, read_gray(data_root / split / f"image/{stem}.png"))
            mask = read_gray(data_root / split / f"mask/{stem}.png")
            np.testing.assert_array_equal(label, mask // 255)


@pytest.mark.parametrize("with_classes", [True, False])
def test_classes_are_numbered_without_a_gap(
    run_script: Callable, data_root: Path, tmp_path: Path, with_classes: bool
) -> None:
    add_classes(data_root)
    card = read(data_root / "dataset.json")
    card["labels"] = {"1": "ground-glass", "7": "consolidation"}
    (data_root / "dataset.json").write_text(json.dumps(card))
    for path in data_root.glob("*/label/*.png"):
        label = read_gray(path)
        label[label == VALUES["consolidation"]] = 7
        write_png(path, label)
    options = [] if with_classes else ["--no-classes"]
    finished = run_script("prepare.py", "nnunet", data_root, "--out", tmp_path / "out", *options)
    assert finished.code == 0, finished.err
    labels = read(tmp_path / "out" / "dataset.json")["labels"]
    first = read_gray(next((tmp_path / "out" / "labelsTr").glob("*_z000.png")))
    if with_classes:
        assert labels == {"background": 0, "ground-glass": 1, "consolidation": 2}
        assert set(np.unique(first)) == {0, 1, 2}
    else:
        assert labels == {"background": 0, "lesion": 1}
        assert set(np.unique(first)) == {0, 1}


def test_a_scan_with_a_missing_slice_is_no_volume(
    run_script: Callable, refused: Callable, volumes: tuple[Path, dict], tmp_path: Path
) -> None:
    root, _ = volumes
    for kind in ("image", "mask", "label"):
        next((root / "train" / kind).glob("*_z003.png")).unlink(missing_ok=True)
    out = tmp_path / "out"
    finished = run_script("prepare.py", "nnunet", root, "--out", out, "--form", "volumes")
    refused(finished, "are missing, or not one after the other", "--form slices")
    assert not out.exists()
    assert run_script("prepare.py", "nnunet", root, "--out", out).code == 0
    assert read(out / "dataset.json")["file_ending"] == ".png"


def test_every_second_slice_is_a_volume_of_twice_the_distance(
    run_script: Callable, volumes: tuple[Path, dict], tmp_path: Path
) -> None:
    root, scans = volumes
    for path in root.glob("*/*/*_z00[135].png"):
        path.unlink()
    assert run_script("prepare.py", "nnunet", root, "--out", tmp_path / "out").code == 0
    label = next((tmp_path / "out" / "labelsTs").iterdir())
    own = nib.load(label)
    assert own.header.get_zooms() == pytest.approx((*AXES[:2], 2 * AXES[2]))
    _, mask = scans[label.name.removesuffix(".nii.gz")]
    np.testing.assert_array_equal(own.get_fdata(), mask[::2].transpose(2, 1, 0))


def test_without_val_no_split_is_made_up(run_script: Callable, tmp_path: Path) -> None:
    write_slices(tmp_path / "data", "train", 4)
    finished = run_script("prepare.py", "nnunet", tmp_path / "data", "--out", tmp_path / "out")
    assert finished.code == 0, finished.err
    assert "both sides" in finished.out
    assert not (tmp_path / "out" / "splits_final.json").exists()
    assert not (tmp_path / "out" / "imagesTs").exists()


def test_what_is_unfit_is_named_and_nothing_is_written(
    run_script: Callable, refused: Callable, data_root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    refused(run_script("prepare.py", "nnunet", tmp_path / "nothing", "--out", out), "nothing")
    twin = data_root / "val"
    for kind in ("image", "mask"):
        first = next((data_root / "train" / kind).glob("*_z000.png"))
        (twin / kind / first.name).write_bytes(first.read_bytes())
    finished = run_script("prepare.py", "nnunet", data_root, "--out", out)
    refused(finished, "train00_z000", "rename")
    (twin / "image" / "train00_z000.png").unlink()
    (twin / "mask" / "train00_z000.png").unlink()
    damaged = next((data_root / "test" / "mask").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:60])
    refused(run_script("prepare.py", "nnunet", data_root, "--out", out), str(damaged))
    assert not out.exists()
