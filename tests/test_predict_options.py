import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from bad_scans import grey, hounsfield, save_scan
from saved_network import SIZE, save_network

from datasets.image_io import write_png


@pytest.fixture
def predict(run_script: Callable, tmp_path: Path) -> Callable:
    """Run predict.py with a small network; outputs go to <tmp_path>/out."""
    best = save_network(tmp_path / "runs" / "small" / "seed2" / "best.pt")

    def run(*arguments: str | Path) -> object:
        common = ["--checkpoint", best, "--out", tmp_path / "out"]
        return run_script("predict.py", *common, "--input", *arguments)

    return run


def test_flips_and_precision_and_batch_size_are_options(predict: Callable, tmp_path: Path) -> None:
    path, maps = save_scan(tmp_path / "scan.nii"), {}
    options = {
        "plain": [],
        "batches": ["--set", "evaluation.batch_size=1"],
        "bf16": ["--set", "training.precision=bf16"],
        "flip": ["--flip"],
    }
    for name, arguments in options.items():
        finished = predict(path, "--no-severity", *arguments)
        assert finished.code == 0, finished.err
        prob = nib.load(tmp_path / "out" / "scan_prob.nii.gz")
        maps[name] = np.asarray(prob.dataobj)
    assert f"{SIZE} x {SIZE} px, threshold 0.5" in finished.out
    assert abs(maps["batches"] - maps["plain"]).max() <= 1 / 254
    assert 0 < abs(maps["bf16"] - maps["plain"]).mean() < 0.05
    assert abs(maps["flip"] - maps["plain"]).mean() > 0.05


def test_the_threshold_is_an_option(predict: Callable, tmp_path: Path) -> None:
    path, sizes = save_scan(tmp_path / "scan.nii"), []
    for threshold in (50.5 / 255, 200.5 / 255):  # between two grey levels
        override = f"evaluation.threshold={threshold}"
        assert predict(path, "--no-severity", "--set", override).code == 0
        mask, prob = (
            np.asarray(nib.load(tmp_path / "out" / f"scan_{kind}.nii.gz").dataobj)
            for kind in ("mask", "prob")
        )
        np.testing.assert_array_equal(mask, prob >= threshold)
        sizes.append(mask.sum())
    assert sizes[0] > sizes[1] > 0


def test_probabilities_are_averaged_between_slices_in_millimetres(
    predict: Callable, tmp_path: Path
) -> None:
    path, maps = save_scan(tmp_path / "scan.nii"), {}
    distance = nib.load(path).header.get_zooms()[2]
    for smoothing in (0, distance):
        finished = predict(path, "--no-severity", "--smoothing", smoothing)
        assert finished.code == 0, finished.err
        prob = nib.load(tmp_path / "out" / "scan_prob.nii.gz")
        maps[smoothing] = np.asarray(prob.dataobj)
    single, smooth = maps.values()
    weights = {one: np.exp(-0.5 * one**2) for one in range(-2, 3)}
    middle = single.shape[2] // 2
    near = {one: w for one, w in weights.items() if 0 <= middle + one < single.shape[2]}
    wanted = sum(w * single[..., middle + one] for one, w in near.items()) / sum(near.values())
    np.testing.assert_allclose(smooth[..., middle], wanted, atol=1.1 / 255)
    assert abs(smooth - single).max() > 0.05


@pytest.mark.parametrize("smoothing", ["-1", "nan", "21", "much"])
def test_a_smoothing_that_cannot_be_is_refused(
    predict: Callable, tmp_path: Path, smoothing: str
) -> None:
    finished = predict(save_scan(tmp_path / "scan.nii"), f"--smoothing={smoothing}")
    assert finished.code == 2
    assert "--smoothing" in finished.err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("as_folder", [False, True])
def test_given_lungs_stand_in_the_report(
    predict: Callable, tmp_path: Path, as_folder: bool
) -> None:
    path = save_scan(tmp_path / "scan.nii")
    lung = np.zeros(hounsfield().shape, np.uint8)
    lung[:, 4:28, 4:14], lung[:, 4:28, 18:28] = 1, 1
    mask = save_scan(tmp_path / "lungs" / "scan_lung.nii.gz", lung)
    finished = predict(path, "--lung", mask.parent if as_folder else mask)
    assert finished.code == 0, finished.err
    severity = json.loads((tmp_path / "out" / "scan_severity.json").read_text())
    assert "given" in severity["lungs"]


def test_a_scan_in_grey_levels_is_taken_as_it_is(predict: Callable, tmp_path: Path) -> None:
    stack = np.stack([grey()] * 3)
    scans = {"bytes": stack, "shares": (stack / 255).astype(np.float32)}
    for name, values in scans.items():
        path = save_scan(tmp_path / f"{name}.nii", values)
        finished = predict(path, "--no-severity")
        assert f"grey levels {'0-255' if name == 'bytes' else '0-1'}" in finished.out
    masks = [nib.load(tmp_path / "out" / f"{name}_mask.nii.gz").get_fdata() for name in scans]
    np.testing.assert_array_equal(*masks)
    finished = predict(tmp_path / "bytes.nii", "--no-severity", "--intensity", "HU")
    assert "HU -1250 to 250" in finished.out


@pytest.mark.parametrize("affine", [None, np.eye(4)], ids=["none", "identity"])
def test_a_scan_without_orientation_is_not_measured(
    predict: Callable, tmp_path: Path, affine: np.ndarray | None
) -> None:
    path = tmp_path / "scan.nii"
    nib.save(nib.Nifti1Image(hounsfield().transpose(1, 2, 0), affine), path)
    finished = predict(path)
    assert finished.code == 0, finished.err
    assert finished.err.count("orientation and spacing are unknown") == 1
    mask = np.asarray(nib.load(tmp_path / "out" / "scan_mask.nii.gz").dataobj)
    num_slices = np.count_nonzero(mask.any((0, 1)))
    assert f"lesion in {num_slices} slices, {mask.sum():,} voxels;" in finished.out
    assert "mL" not in finished.out
    assert not list((tmp_path / "out").glob("*_severity.*"))


def test_an_option_without_effect_gets_a_warning(predict: Callable, tmp_path: Path) -> None:
    write_png(tmp_path / "s.png", grey())
    finished = predict(
        tmp_path / "s.png", "--lung", tmp_path, "--window", "-1000", "0", "--intensity", "HU",
        "--patient-id", "Q", "--no-severity", "--smoothing", 1,
    )  # fmt: skip
    assert finished.code == 0, finished.err
    for option in (
        "--window",
        "--intensity",
        "--smoothing",
        "--lung",
        "--no-severity",
        "--patient-id",
    ):
        assert f"warning: {option} has no effect here" in finished.out
    finished = predict(save_scan(tmp_path / "scan.nii"), "--lung", tmp_path, "--no-severity")
    assert "warning: --lung has no effect here" in finished.out
    assert finished.out.count("no effect") == 1
