import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from saved_network import save_network

from inference import segment as module
from inference.model import Model, open_model
from inference.segment import segment
from severity.report import to_plain
from tests.severity.chest import SPACING, make_chest
from utils.errors import UserError


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("small") / "seed2" / "best.pt")


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Model:
    return open_model(checkpoint)


def axial(path: Path) -> np.ndarray:
    """Values of a file that write_scan has made, or that lies on its voxels."""
    return nib.load(path).get_fdata(dtype=np.float32).transpose(2, 1, 0)[:, ::-1, ::-1]


def write_scan(path: Path, hu: np.ndarray) -> Path:
    """(slices, H, W) as a file, to the right, the front and the head (RAS)."""
    values = hu[:, ::-1, ::-1].transpose(2, 1, 0)
    nib.save(nib.Nifti1Image(values, np.diag([*SPACING[:0:-1], SPACING[0], 1])), path)
    return path


@pytest.mark.parametrize("are_given", [False, True], ids=["found", "given"])
def test_results_are_those_of_the_command(
    are_given: bool, checkpoint: Path, model: Model, run_script: Callable, tmp_path: Path
) -> None:
    chest = make_chest()
    scan, out = write_scan(tmp_path / "scan.nii.gz", chest.hu), tmp_path / "out"
    options, lungs = [], None
    if are_given:
        lungs = chest.lung
        options = ["--lung", write_scan(tmp_path / "lung.nii.gz", lungs)]
    finished = run_script(
        "predict.py", "--checkpoint", checkpoint, "--input", scan, "--out", out, *options
    )
    assert finished.code == 0, finished.err
    found = segment(chest.hu, SPACING, model=model, lungs=lungs)
    assert 0.05 < found.mask.mean() < 0.95
    np.testing.assert_array_equal(found.mask, axial(out / "scan_mask.nii.gz"))
    stored = axial(out / "scan_prob.nii.gz")
    np.testing.assert_array_equal(np.rint(255 * found.probability), np.rint(255 * stored))
    np.testing.assert_allclose(found.probability, stored, rtol=1e-6)
    assert found.probability.dtype == np.float32
    assert set(np.unique(found.lungs)) == {0, 1, 2}
    told = json.loads(json.dumps(to_plain(found.severity)))
    assert told == json.loads((out / "scan_severity.json").read_text())


def test_any_real_type_does(model: Model) -> None:
    hu = make_chest().hu[20:24]
    wanted = segment(hu, SPACING, model=model)
    for dtype in (np.float64, np.int32):
        np.testing.assert_array_equal(
            segment(hu.astype(dtype), SPACING, model=model).mask, wanted.mask
        )


def test_without_a_model_the_weights_that_ship_are_taken(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_shipped_model", lambda: model)
    hu = make_chest().hu[20:24]
    found, wanted = segment(hu, SPACING), segment(hu, SPACING, model=model)
    np.testing.assert_array_equal(found.probability, wanted.probability)


@pytest.mark.parametrize(
    ("volume", "spacing", "reason"),
    [
        (np.zeros((40, 40)), SPACING, r"volume: must be numbers of shape"),
        (np.zeros((4, 40, 40), complex), SPACING, "complex128"),
        (np.full((4, 40, 40), "a"), SPACING, "volume: must be numbers"),
        (np.zeros((4, 40, 40)), (1.0, 1.0), "spacing: must be three lengths"),
        (np.zeros((4, 40, 40)), (1.0, 0.0, 1.0), "spacing: must be three lengths"),
        (np.zeros((4, 40, 40)), (1.0, np.nan, 1.0), "spacing: must be three lengths"),
    ],
)
def test_what_is_no_scan_is_refused(
    volume: np.ndarray, spacing: tuple[float, ...], reason: str, model: Model
) -> None:
    with pytest.raises(UserError, match=reason):
        segment(volume, spacing, model=model)


def test_lungs_of_another_shape_are_refused(model: Model) -> None:
    hu = make_chest().hu
    with pytest.raises(UserError, match=r"lungs: \(3, "):
        segment(hu, SPACING, model=model, lungs=np.ones((3, *hu.shape[1:])))
