"""predict.py on chest X-rays, and what one modality's checkpoint is not given."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pytest
from dicom_files import write_series
from radiograph_files import write_radiograph
from saved_network import save_network

from datasets.image_io import read_gray, write_png

NOISE = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 4095, (40, 48)), (0, 0), 3)
GREY = cv2.normalize(NOISE, None, 0, 4000, cv2.NORM_MINMAX).astype(np.uint16)
LUNGS = np.zeros(GREY.shape, np.uint8)
LUNGS[5:35, 5:20] = LUNGS[5:35, 28:43] = 255


@pytest.fixture
def predict(run_script: Callable, tmp_path: Path) -> Callable:
    """Run predict.py with a network of a modality; outputs go to <tmp_path>/out."""

    def run(*arguments: str | Path, modality: str | None = "DX") -> object:
        changes = {"modality": modality, "intensity": None} if modality else {}
        best = save_network(tmp_path / "runs/small/seed2/best.pt", **changes)
        common = ["--checkpoint", best, "--out", tmp_path / "out"]
        return run_script("predict.py", *common, "--input", *arguments)

    return run


def test_images_and_dicom_of_one_x_ray_get_the_same_mask(predict: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_radiograph(folder / "1.2.840", 4000 - GREY, PhotometricInterpretation="MONOCHROME1")
    write_radiograph(folder / "cr.dcm", GREY, modality="CR")
    colour = np.repeat((GREY.astype(np.uint32) * 65535 // 4000).astype(np.uint16)[..., None], 3, 2)
    write_png(folder / "png.png", colour)
    finished = predict(folder)
    assert finished.code == 0, finished.err
    assert "3 images: lesion in 3" in finished.out
    assert "the network finds no lungs: give them by --lung" in finished.out
    masks = [read_gray(tmp_path / "out" / f"{name}_mask.png") for name in ("1.2.840", "cr", "png")]
    assert masks[0].any()
    assert not masks[0].all()
    for other in masks[1:]:
        assert np.mean(masks[0] != other) < 0.01


def test_given_lungs_make_a_report(predict: Callable, tmp_path: Path) -> None:
    for name in "ab":
        write_radiograph(tmp_path / "in" / f"{name}.dcm", GREY)
        write_png(tmp_path / f"{name}_lung.png", LUNGS)
    finished = predict(tmp_path / "in", "--lung", tmp_path)
    assert finished.code == 0, finished.err
    assert "warning" not in finished.out
    mask = read_gray(tmp_path / "out" / "a_mask.png") > 0
    shares = json.loads((tmp_path / "out" / "a_severity.json").read_text())["shares"]
    expected = [mask[LUNGS > 0], mask[:, :24][LUNGS[:, :24] > 0], mask[:, 24:][LUNGS[:, 24:] > 0]]
    assert [one["involvement_percent"] for one in shares] == pytest.approx(
        [100 * inside.mean() for inside in expected]
    )
    assert len((tmp_path / "out" / "b_severity.csv").read_text().splitlines()) == 4
    again = predict(tmp_path / "in", "--no-severity")
    assert again.code == 0, again.err
    assert not list((tmp_path / "out").glob("*_severity.*"))


def test_a_lung_mask_of_another_size_is_refused(
    predict: Callable, refused: Callable, tmp_path: Path
) -> None:
    write_radiograph(tmp_path / "a.dcm", GREY)
    write_png(tmp_path / "lung.png", LUNGS[:, :40])
    finished = predict(tmp_path / "a.dcm", "--lung", tmp_path / "lung.png")
    refused(finished, str(tmp_path / "lung.png"), "40 x 40 against 48 x 40 px")
    assert not (tmp_path / "out").exists()


def write_ct(kind: str, folder: Path) -> Path:
    values = np.random.default_rng(1).integers(-1000, 200, (5, 40, 40)).astype(np.int16)
    if kind == "dicom":
        write_series(folder, values)
        return folder
    folder.mkdir()
    nib.save(nib.Nifti1Image(values, np.diag([1, 1, 5, 1])), folder / "a.nii")
    return folder / "a.nii"


@pytest.mark.parametrize("kind", ["dicom", "nifti"])
def test_ct_is_refused_by_a_checkpoint_of_x_rays(
    kind: str, predict: Callable, refused: Callable, tmp_path: Path
) -> None:
    scan = write_ct(kind, tmp_path / "ct")
    refused(predict(scan), str(scan), "a CT scan, but the checkpoint was trained on chest X-rays")
    write_radiograph(tmp_path / "x.dcm", GREY)
    finished = predict(scan, tmp_path / "x.dcm", "--keep-going")
    assert (finished.code, "1 of 2 cases failed" in finished.err) == (2, True)
    assert (tmp_path / "out" / "x_mask.png").is_file()


@pytest.mark.parametrize("modality", ["CR", "DX"])
def test_x_rays_are_refused_by_a_checkpoint_of_ct(
    modality: str, predict: Callable, refused: Callable, tmp_path: Path
) -> None:
    path = write_radiograph(tmp_path / "in" / "x", GREY, modality=modality)
    for named in (path, path.parent):
        finished = predict(named, modality=None)
        refused(finished, f"{path}: a chest X-ray, but the checkpoint was trained on CT")


def test_x_rays_of_another_tag_are_read_on_request(predict: Callable, tmp_path: Path) -> None:
    write_radiograph(tmp_path / "in" / "x.dcm", GREY, modality="OT")
    assert predict(tmp_path / "in").code == 2
    finished = predict(tmp_path / "in", "--modality", "any")
    assert finished.code == 0, finished.err
    assert "warning" not in finished.out
