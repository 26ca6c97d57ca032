"""Scans under a network that sees the lungs alone: found or given, and at full size again."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from identity import identity_model

from datasets.crop import LUNGS, find_box
from inference.inputs import find_inputs
from inference.intensity_options import IntensityOptions
from inference.volumes import VolumeOptions, predict_volume
from tests.severity.chest import SPACING, make_chest
from utils.errors import UserError

WINDOW = (-1250.0, 250.0)
OPTIONS = VolumeOptions(IntensityOptions(None, unit="HU", window=WINDOW), with_severity=False)


def save(path: Path, axial: np.ndarray) -> Path:
    rise, down, right = SPACING
    affine = np.diag([-right, -down, rise, 1.0])
    nib.save(nib.Nifti1Image(axial.transpose(2, 1, 0), affine), path)
    return path


def load_axial(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj).transpose(2, 1, 0)


@pytest.mark.parametrize("is_given", [True, False], ids=["given", "found"])
def test_only_the_lungs_of_a_scan_are_seen(is_given: bool, tmp_path: Path) -> None:
    chest, out = make_chest(), tmp_path / "out"
    scan = save(tmp_path / "scan.nii.gz", chest.hu)
    lung = save(tmp_path / "lung.nii.gz", chest.lung) if is_given else None
    (case,) = find_inputs([scan], out).cases
    model = identity_model((64, 64), ["data.crop=lungs", "evaluation.batch_size=8"])
    predict_volume(case, model, OPTIONS, out, lung)
    mask = load_axial(out / "scan_mask.nii.gz")
    assert mask.shape == chest.hu.shape
    boxes = [find_box(LUNGS, np.zeros(own.shape, np.uint8), own) for own in chest.lung]
    for index in range(12, 40):  # all but the ends, where found lungs may be a few px off
        rows, columns = mask[index].nonzero()
        seen = np.array([rows.min(), rows.max(), columns.min(), columns.max()])
        box = boxes[index]
        ends = [box.top, box.top + box.height - 1, box.left, box.left + box.width - 1]
        assert abs(seen - ends).max() <= (0 if is_given else 3), index


def test_a_scan_without_lungs_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    out, scan = tmp_path / "out", save(tmp_path / "scan.nii.gz", make_chest(sides=()).hu)
    (case,) = find_inputs([scan], out).cases
    model = identity_model((64, 64), ["data.crop=lungs"])
    with pytest.raises(UserError, match=r"scan\.nii\.gz: the network was trained .*No lungs"):
        predict_volume(case, model, OPTIONS, out)
    assert not list(out.glob("*"))
