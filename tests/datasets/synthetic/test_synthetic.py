"""The synthetic set: reproducible, anatomically and formally consistent, never half written."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.synthetic.generate import generate_patient, write_synthetic_set
from preparation.overview.statistics import slice_statistics
from utils.errors import UserError

FOLDERS = ("image", "mask", "label", "lung")
REQUEST = {"num_slices": 6, "image_size": 128, "seed": 3}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "set"
    summary = write_synthetic_set(root, num_patients={"train": 4, "val": 2, "test": 1}, **REQUEST)
    assert summary.num_slices == 42
    assert summary.slices_per_split == {"train": 24, "val": 12, "test": 6}
    return root


def _files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def _grey(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)


def _manifest(root: Path) -> list[dict[str, str]]:
    with open(root / "manifest.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def test_same_seed_writes_the_same_bytes(written: Path, tmp_path: Path) -> None:
    write_synthetic_set(
        tmp_path / "again", num_patients={"train": 4, "val": 2, "test": 1}, **REQUEST
    )
    assert _files(tmp_path / "again") == _files(written)


def test_patient_does_not_depend_on_split_or_on_the_others(written: Path, tmp_path: Path) -> None:
    write_synthetic_set(tmp_path / "val_only", num_patients={"val": 2}, **REQUEST)
    here, there = _files(tmp_path / "val_only" / "val"), _files(written / "train")
    assert here.items() <= there.items()


def test_patients_and_seeds_differ() -> None:
    request = {"num_slices": 2, "image_size": 128}
    first = generate_patient(seed=0, patient=1, **request)
    assert (first[0].image != generate_patient(seed=0, patient=2, **request)[0].image).any()
    assert (first[0].image != generate_patient(seed=1, patient=1, **request)[0].image).any()


@pytest.mark.parametrize("size", [128, 256, 512])
def test_slice_has_the_size_asked_for(size: int) -> None:
    (item,) = generate_patient(seed=0, patient=1, num_slices=1, image_size=size)
    for pixels in item:
        assert pixels.shape == (size, size)
        assert pixels.dtype == np.uint8


def test_lesions_lie_in_the_lung_or_are_effusion() -> None:
    for patient in range(1, 9):
        for item in generate_patient(seed=1, patient=patient, num_slices=5, image_size=128):
            assert set(np.unique(item.label)) <= {0, 1, 2, 3}
            assert set(np.unique(item.lung)) <= {0, 255}
            parenchymal = (item.label == 1) | (item.label == 2)
            assert not (parenchymal & (item.lung == 0)).any()


def test_set_holds_slices_with_and_without_lesions_of_both_densities() -> None:
    labels = [
        item.label
        for patient in range(1, 26)
        for item in generate_patient(seed=0, patient=patient, num_slices=4, image_size=128)
    ]
    share_empty = np.mean([not label.any() for label in labels])
    assert 0.05 < share_empty < 0.5
    assert {0, 1, 2} <= set(np.unique(labels))


def test_lung_grows_from_the_apex_and_is_darker_than_the_body() -> None:
    slices = generate_patient(seed=0, patient=2, num_slices=9, image_size=128)
    areas = [np.count_nonzero(item.lung) for item in slices]
    assert areas[0] < areas[4]
    assert min(areas[:7]) > 0.02 * 128**2
    middle = slices[4]
    healthy = (middle.lung > 0) & (middle.label == 0)
    assert np.median(middle.image[healthy]) < 110 < np.percentile(middle.image, 75)


def test_neighbouring_slices_are_coherent() -> None:
    slices = generate_patient(seed=0, patient=2, num_slices=60, image_size=128)
    lungs = np.array([item.lung > 0 for item in slices[5:45]])
    overlap = (lungs[1:] & lungs[:-1]).sum((1, 2)) / (lungs[1:] | lungs[:-1]).sum((1, 2))
    assert overlap.min() > 0.8


def test_mask_is_the_label_above_zero(written: Path) -> None:
    for row in _manifest(written):
        folder = written / row["split"]
        image, mask, label, lung = (_grey(folder / kind / row["file"]) for kind in FOLDERS)
        assert ((label > 0) * 255 == mask).all()
        assert image.shape == (int(row["height"]), int(row["width"]))
        assert np.count_nonzero(mask) == int(row["lesion_px"])
        assert np.count_nonzero(lung) == int(row["lung_px"])


def test_manifest_lists_every_file_and_no_patient_twice(written: Path) -> None:
    rows = _manifest(written)
    for kind in FOLDERS:
        on_disk = {(p.parts[-3], p.name) for p in written.glob(f"*/{kind}/*.png")}
        assert on_disk == {(row["split"], row["file"]) for row in rows}
    split_of = {row["patient"]: row["split"] for row in rows}
    assert all(split_of[row["patient"]] == row["split"] for row in rows)
    assert list(split_of) == [f"synthetic_{number:04d}" for number in range(1, 8)]


def test_non_empty_root_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "keep.txt").write_text("mine")
    with pytest.raises(UserError, match="remove it or choose another --out"):
        write_synthetic_set(tmp_path, num_patients={"train": 1}, **REQUEST)
    assert _files(tmp_path) == {"keep.txt": b"mine"}


def test_unknown_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown split 'dev'"):
        write_synthetic_set(tmp_path / "set", num_patients={"dev": 1}, **REQUEST)


def test_interruption_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop_at_the_second(jobs):
        yield next(iter(jobs))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_synthetic_set(
            tmp_path / "set", num_patients={"train": 3}, progress=stop_at_the_second, **REQUEST
        )
    assert list(tmp_path.iterdir()) == []


def test_statistics_read_the_written_layout(written: Path) -> None:
    figures = slice_statistics(written, "train")
    assert figures["slices"] == 24
    assert figures["lesion - lung median"] > 0
    with pytest.raises(UserError, match="no images"):
        slice_statistics(written, "nowhere")


def test_least_severity_makes_more_disease() -> None:
    areas = []
    for least in (0.0, 0.7):
        slices = [
            item
            for patient in range(6)
            for item in generate_patient(
                seed=3, patient=patient, num_slices=3, image_size=128, min_severity=least
            )
        ]
        areas.append(sum(int((item.label > 0).sum()) for item in slices))
    assert areas[1] > 1.5 * areas[0]
