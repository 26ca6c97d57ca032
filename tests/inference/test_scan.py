"""Which slices of a scan are run, and what becomes of one without lungs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from identity import identity_model
from saved_network import save_network
from torch import Tensor

from datasets.intensity import LUNG_WINDOW
from inference.predictors import Heads
from inference.scan import LEARNED, THRESHOLD, LungSource, predict_scan
from severity.lungs.learned import LearnedLungs
from severity.lungs.lungs import FoundLungs
from tests.severity.chest import SHAPE, SOFT_HU, SPACING, as_volume, make_chest
from utils.errors import UserError

NOISE = np.random.default_rng(1).normal(0, 15, SHAPE)
ABDOMEN = (np.where(make_chest(sides=()).hu < -500, -1000, SOFT_HU) + NOISE).astype(np.int16)


class Dark:
    """Takes what is dark for lesion, and for lung what is darker than bone; counts slices."""

    has_lung = True
    image_size = SHAPE[1:]

    def __init__(self) -> None:
        self.num_slices = 0

    def predict(self, images: Tensor) -> Tensor:
        return self.predict_heads(images).prob

    def predict_heads(self, images: Tensor) -> Heads:
        self.num_slices += len(images)
        whole = torch.zeros_like(images)
        whole[..., 20:65, 30:95] = 1
        return Heads((images < 0).float(), whole)


def predict(
    hu: np.ndarray,
    source: LungSource,
    predictor: Dark | None = None,
    overrides: Sequence[str] = (),
    **options: float,
) -> tuple[np.ndarray, np.ndarray, object]:
    """Mask, probability and ScanLesions."""
    model = identity_model(hu.shape[1:], overrides)._replace(predictor=predictor or Dark())
    mask, prob = np.zeros(hu.shape, np.uint8), np.zeros(hu.shape, np.uint8)
    found = predict_scan(as_volume(hu), LUNG_WINDOW, model, source, mask, prob, **options)
    return mask, prob, found


@pytest.fixture(scope="module")
def tall() -> np.ndarray:
    """A chest whose lungs lie in its upper 44 slices, above 40 of abdomen."""
    hu = make_chest().hu
    return np.concatenate([np.repeat(ABDOMEN[:1], 40, axis=0), hu])


@pytest.mark.parametrize("are_given", [False, True])
def test_slices_without_lung_are_not_run(are_given: bool, tall: np.ndarray) -> None:
    given = None
    if are_given:
        given = np.concatenate([np.zeros((40, *SHAPE[1:])), make_chest().lung > 0])
    predictor = Dark()
    mask, prob, found = predict(tall, LungSource(given), predictor)
    below = 40 + 4 - 20 // 5  # lungs of 110 mm either way leave 4 slices; a margin of 20 mm
    assert 44 <= predictor.num_slices <= len(tall) - below + 2
    first = len(tall) - predictor.num_slices
    assert first >= 36
    assert not mask[:first].any()
    assert not prob[:first].any()
    assert mask[first:].any((1, 2)).all()
    assert found.areas == mask.sum((1, 2)).tolist()


class LeftHalf(Dark):
    """Takes what it sees on the left for lesion, wherever that is."""

    def predict_heads(self, images: Tensor) -> Heads:
        prob, whole = torch.zeros_like(images), torch.ones_like(images)
        prob[..., : prob.shape[-1] // 2] = 1
        return Heads(prob, whole)


@pytest.mark.parametrize(
    ("flips", "smoothing", "is_mirrored"),
    [(0.5, 2 * SPACING[0], True), (0.0, 2 * SPACING[0], False), (0.5, 0.0, False)],
)
def test_slices_are_mirrored_in_turn_where_they_are_averaged_and_flips_were_learnt(
    flips: float, smoothing: float, is_mirrored: bool
) -> None:
    overrides = [f"data.augmentation.horizontal_flip={flips}"]
    hu, source = make_chest().hu, LungSource()
    _, prob, _ = predict(hu, source, LeftHalf(), overrides, smoothing_mm=smoothing)
    middle, half = len(hu) // 2, hu.shape[2] // 2
    left, right = prob[middle, :, :half].astype(int), prob[middle, :, half:].astype(int)
    assert ((left < 200) & (right > 50)).all() == is_mirrored
    assert ((left == 255) & (right == 0)).all() != is_mirrored


def test_a_scan_without_lungs_is_refused_where_a_report_is_wanted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(UserError, match="shows no lungs, so it is no CT of the chest"):
        predict(ABDOMEN, LungSource())
    mask, _, found = predict(ABDOMEN, LungSource(are_required=False))
    assert mask.any((1, 2)).all()
    assert found.lungs is None
    assert "every slice is predicted" in capsys.readouterr().out


def test_lungs_of_the_network_hold_what_is_dense(tall: np.ndarray) -> None:
    _, _, found = predict(tall, LungSource())
    assert isinstance(found.lungs, LearnedLungs)
    none = np.zeros(SHAPE[1:], bool)
    lung = found.lungs.read_slice(66, none)
    assert set(np.unique(lung[35:50, 50:75])) == {1, 2}  # tissue between the two lungs as well
    assert (lung[20:65, 30:95] > 0).mean() > 0.95
    assert not lung[:18].any()
    _, _, other = predict(tall, LungSource(found_by=THRESHOLD))
    assert type(other.lungs) is FoundLungs
    assert (other.lungs.read_slice(66, none) > 0).sum() < (lung > 0).sum()


def test_lungs_out_of_all_proportion_are_left_to_the_threshold(tall: np.ndarray) -> None:
    class Blank(Dark):
        def predict_heads(self, images: Tensor) -> Heads:
            return Heads((images < 0).float(), torch.zeros_like(images))

    _, _, found = predict(tall, LungSource(None, LEARNED), Blank())
    assert type(found.lungs) is FoundLungs


def save(path: Path, hu: np.ndarray) -> Path:
    path.parent.mkdir(exist_ok=True)
    affine = np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1])
    nib.save(nib.Nifti1Image(hu.transpose(2, 1, 0), affine), path)
    return path


def test_an_abdomen_ends_predict_in_a_line_and_others_go_on_past_it(
    tmp_path: Path, run_script: Callable, refused: Callable
) -> None:
    best, out = save_network(tmp_path / "small" / "seed2" / "best.pt"), tmp_path / "out"
    common = ["--checkpoint", best, "--out", out, "--input"]
    abdomen = save(tmp_path / "in" / "abdomen.nii.gz", ABDOMEN)
    refused(run_script("predict.py", *common, abdomen), "abdomen.nii.gz", "shows no lungs")
    assert not out.exists()
    save(tmp_path / "in" / "chest.nii.gz", make_chest().hu)
    finished = run_script("predict.py", *common, tmp_path / "in", "--keep-going")
    assert finished.code == 2
    assert "1 of 2 cases failed" in finished.err
    assert {path.name.partition("_")[0] for path in out.iterdir()} == {"chest"}


def test_magnetic_resonance_is_refused(
    tmp_path: Path, run_script: Callable, refused: Callable
) -> None:
    best, out = save_network(tmp_path / "small" / "seed2" / "best.pt"), tmp_path / "out"
    mr = np.random.default_rng(0).gamma(2, 150, SHAPE).astype(np.int16) * (ABDOMEN > -500)
    path = save(tmp_path / "mr.nii.gz", mr)
    refused(
        run_script("predict.py", "--checkpoint", best, "--out", out, "--input", path), "mr.nii.gz"
    )
    assert not out.exists()
