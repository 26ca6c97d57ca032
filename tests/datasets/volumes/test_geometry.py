"""A header that does not say how a scan lies, or says what no CT can be."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from datasets.volumes import check_geometry, describe_placeless, open_nifti
from utils.errors import UserError

SHAPE = (40, 40, 9)


def save(
    path: Path,
    affine: np.ndarray | None,
    shape: tuple[int, ...] = SHAPE,
    codes: tuple[int, int] | None = None,
) -> Path:
    image = nib.Nifti1Image(np.full(shape, -800, np.int16), affine)
    if codes:
        image.set_sform(affine, codes[0])
        image.set_qform(affine, codes[1])
    nib.save(image, path)
    return path


def shifted(affine: np.ndarray, *origin: float) -> np.ndarray:
    affine = np.array(affine, float)
    affine[:3, 3] = origin
    return affine


REAL = np.diag([-0.7, -0.7, 5, 1])


@pytest.mark.parametrize(
    ("affine", "codes"),
    [
        (np.eye(4), None),
        (None, None),
        (np.diag([-1, -1, 1, 1]), None),  # SimpleITK, of an array
        (np.eye(4)[[2, 1, 0, 3]], None),
        (np.eye(4), (0, 1)),
        (REAL, (0, 0)),
    ],
    ids=["identity", "none", "identity of LPS", "axes exchanged", "qform alone", "codes of 0"],
)
def test_a_header_without_a_place_is_told(
    tmp_path: Path, affine: np.ndarray | None, codes: tuple[int, int] | None
) -> None:
    with open_nifti(save(tmp_path / "a.nii", affine, codes=codes)) as volume:
        assert not volume.has_place
        check_geometry(volume)
        assert "a.nii: its header has no orientation" in describe_placeless(volume)


@pytest.mark.parametrize(
    ("affine", "codes"),
    [
        (REAL, None),
        (REAL, (1, 0)),
        (REAL, (0, 1)),
        (shifted(np.eye(4), -120, -110.5, 40), None),  # resampled to 1 mm
        (np.diag([1, 1, 1.5, 1]), None),
    ],
    ids=["both", "sform", "qform", "1 mm", "1 mm in the plane"],
)
def test_a_header_with_a_place_is_believed(
    tmp_path: Path, affine: np.ndarray, codes: tuple[int, int] | None
) -> None:
    with open_nifti(save(tmp_path / "a.nii", affine, codes=codes)) as volume:
        assert volume.has_place
        check_geometry(volume)
        assert describe_placeless(volume) is None


@pytest.mark.parametrize(
    ("affine", "shape", "part"),
    [
        (np.eye(4), (3, 40, 40), "axial slices of 40 x 3 px"),  # slices first, as numpy has them
        (REAL, (4, 60, 40), "axial slices of 60 x 4 px"),
        # A few coronal pictures: deep enough in mm, but not in px.
        (np.diag([0.7, 15, 5, 1]), (200, 3, 9), "axial slices of 3 x 200 px"),
        (np.diag([700, 700, 5000, 1]), SHAPE, "voxels of 5000 x 700 x 700 mm"),
        (np.diag([0.0007, 0.0007, 0.005, 1]), SHAPE, "voxels of 0.005 x 0.0007 x 0.0007 mm"),
        (np.diag([0.7, 0.7, 500, 1]), SHAPE, "voxels of 500 x 0.7 x 0.7 mm, 4500 mm long"),
    ],
)
def test_a_geometry_that_no_ct_has_is_refused(
    tmp_path: Path, affine: np.ndarray, shape: tuple[int, ...], part: str
) -> None:
    path = save(tmp_path / "a.nii", affine, shape)
    reason = r"a\.nii: has .* by its header, which no CT"
    with open_nifti(path) as volume, pytest.raises(UserError, match=reason) as caught:
        check_geometry(volume)
    assert part in str(caught.value)
