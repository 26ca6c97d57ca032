"""predict.py: forms of images, long names, several series of one folder."""

from collections.abc import Callable
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pytest
from dicom_files import write_series
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import NuclearMedicineImageStorage
from saved_network import save_network

from datasets.image_io import read_gray, write_png
from datasets.volumes import find_series


@pytest.fixture
def best(tmp_path: Path) -> Path:
    """The checkpoint of a small network."""
    return save_network(tmp_path / "runs" / "small" / "seed2" / "best.pt")


@pytest.fixture
def predict(run_script: Callable, best: Path, tmp_path: Path) -> Callable:
    """Run predict.py with the checkpoint; outputs go to <tmp_path>/out."""

    def run(*arguments: str | Path) -> object:
        common = ["--checkpoint", best, "--out", tmp_path / "out"]
        return run_script("predict.py", *common, "--input", *arguments)

    return run


def hounsfield(num_slices: int = 5, size: int = 40, seed: int = 0) -> np.ndarray:
    """Smooth noise over the range of a chest, (slices, rows, columns) int16."""
    noise = np.random.default_rng(seed).normal(size=(num_slices, size, size)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(one, (0, 0), 3) for one in noise])
    return np.rint(-500 + 300 * smooth / smooth.std()).clip(-1024, 1000).astype(np.int16)


def test_two_series_of_a_folder_are_told_apart_in_what_is_printed(
    predict: Callable, tmp_path: Path
) -> None:
    for number in (2, 3):
        write_series(
            tmp_path / "in", hounsfield(), number=number, seed=str(number),
            names=f"{number}_{{}}".format,
        )  # fmt: skip
    finished = predict(tmp_path / "in", "--no-severity")
    assert finished.code == 0, finished.err
    lines = [line for line in finished.out.splitlines() if " slices, " in line]
    assert len(lines) == 2
    names = [series.name for series in find_series(tmp_path / "in")]
    for name, line in zip(names, lines, strict=True):
        assert line.startswith(f"{tmp_path / 'in'} ({name}): ")


def write_nuclear(folder: Path, values: np.ndarray) -> None:
    """CT that a converter has tagged as Nuclear Medicine, without orientation and position."""

    def change(index: int, dataset: Dataset) -> None:
        dataset.Modality = "NM"
        dataset.SOPClassUID = NuclearMedicineImageStorage
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        del dataset.ImageOrientationPatient, dataset.ImagePositionPatient

    write_series(folder, values, change=change, names=lambda index: f"{(7 * index) % 5}.dcm")


def test_ct_tagged_as_another_modality_is_predicted_where_that_is_asked_for(
    predict: Callable, tmp_path: Path
) -> None:
    values = hounsfield()
    write_nuclear(tmp_path / "nm", values)
    finished = predict(tmp_path / "nm")
    assert finished.code == 2
    assert "but NM (5); where NM is CT that was tagged wrongly, --modality any reads it" in (
        finished.err
    )
    assert not (tmp_path / "out").exists()
    finished = predict(tmp_path / "nm", "--modality", "any", "--no-severity")
    assert finished.code == 0, finished.err
    assert "slices lie in the order of InstanceNumber, from feet to head, 2.5 mm apart" in (
        finished.out
    )
    write_series(tmp_path / "ct", values)
    assert predict(tmp_path / "ct", "--no-severity").code == 0
    name = "series_2_Thorax_1_0_B70f_prob.nii.gz"
    by_number = nib.load(next((tmp_path / "out").rglob(name)))
    np.testing.assert_allclose(by_number.header.get_zooms(), (0.8, 0.7, 2.5), rtol=1e-5)


def test_a_mask_beside_a_scan_is_passed_over_and_one_that_is_named_is_refused(
    predict: Callable, tmp_path: Path
) -> None:
    values = hounsfield().T
    (tmp_path / "in").mkdir()
    mask = tmp_path / "in" / "scan_mask.nii.gz"
    affine = np.diag([0.7, 0.7, 2.5, 1])
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "in" / "scan.nii.gz")
    nib.save(nib.Nifti1Image((values > -400).astype(np.uint8), affine), mask)
    finished = predict(tmp_path / "in", "--no-severity")
    assert (finished.code, finished.err) == (0, "")
    assert "warning: passed over 1 mask of other cases (scan_mask.nii.gz)" in finished.out
    assert not list((tmp_path / "out").rglob("scan_mask_*"))
    finished = predict(mask)
    assert finished.code == 2
    assert f"{mask}: is a mask or label map by its values, 0 to 1" in finished.err


def test_an_image_of_another_format_and_turned_is_predicted_upright(
    predict: Callable, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (40, 48), np.uint8)
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(pixels).save(tmp_path / "a.png", "JPEG", exif=exif)
    finished = predict(tmp_path / "a.png")
    assert (finished.code, finished.err) == (0, "")
    assert read_gray(tmp_path / "out" / "a_mask.png").shape == (48, 40)


def test_a_name_with_room_for_its_endings_alone_is_predicted(
    predict: Callable, tmp_path: Path
) -> None:
    name = "s" * (255 - len("_overlay.png"))
    write_png(tmp_path / f"{name}.png", np.eye(32, dtype=np.uint8) * 200)
    finished = predict(tmp_path / f"{name}.png")
    assert finished.code == 0, finished.err
    assert (tmp_path / "out" / f"{name}_overlay.png").is_file()
