"""Predicted volumes of any tool: pairs, values, orientation, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from evaluation.volume_folders import VolumeCases, find_volume_pairs
from utils.errors import UserError

# Columns to the left, rows to the back, slices to the head: as an axial slice is shown.
AFFINE = np.array([[-0.8, 0, 0, 50], [0, -0.7, 0, 40], [0, 0, 5, -100], [0, 0, 0, 1.0]])


def save(path: Path, axial: np.ndarray, axes: str = "LPS", affine: np.ndarray = AFFINE) -> None:
    """Write (slices, H, W) in an orientation of the file's own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(axial.transpose(2, 1, 0), affine)
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(affine), nib.orientations.axcodes2ornt(tuple(axes))
    )
    nib.save(image.as_reoriented(turn), path)


def block(number: int = 0) -> np.ndarray:
    mask = np.zeros((6, 24, 30), np.uint8)
    mask[1:4, 4:12, 6 : 16 + number] = 1
    return mask


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two perfect predictions, which are stored along other axes than their masks."""
    for number, axes in enumerate(("RAS", "ASL")):
        save(tmp_path / "pred" / f"case_{number}.nii.gz", block(number), axes)
        save(tmp_path / "mask" / f"case_{number}.nii.gz", block(number))
    return tmp_path / "pred", tmp_path / "mask"


def cases(folders: tuple[Path, Path], **options: object) -> VolumeCases:
    return VolumeCases(find_volume_pairs(*folders, iter, **options))


def refusal(folders: tuple[Path, Path], **options: object) -> str:
    with pytest.raises(UserError) as refused:
        cases(folders, **options)
    return str(refused.value)


def test_slices_are_cases_from_feet_to_head_with_the_spacing_of_the_header(
    folders: tuple[Path, Path],
) -> None:
    source = cases(folders)
    found = list(source.cases())
    assert len(source) == len(found) == 12
    assert [case.name for case in found[5:7]] == ["case_0_z005", "case_1_z000"]
    assert {case.patient for case in found} == {"case_0", "case_1"}
    for number, case in enumerate(found):
        assert case.spacing == pytest.approx((0.7, 0.8))
        assert case.scan.distance == pytest.approx(5)
        np.testing.assert_array_equal(case.target, block(number // 6)[number % 6] == 1)
        np.testing.assert_array_equal(case.prob >= 0.5, case.target)
    again = list(source.cases([8, 2]))
    assert [case.name for case in again] == ["case_1_z002", "case_0_z002"]
    np.testing.assert_array_equal(again[0].prob, found[8].prob)


@pytest.mark.parametrize(
    ("stored", "levels"),
    [
        (np.float32, lambda prob: prob),
        (np.uint8, lambda prob: np.rint(255 * prob)),
        (np.float32, lambda prob: np.rint(255 * prob)),
    ],
)
def test_probabilities_are_read_as_such(
    folders: tuple[Path, Path], stored: type, levels: Callable
) -> None:
    prob = np.random.default_rng(0).random((6, 24, 30)).astype(np.float32)
    for number in range(2):
        save(folders[0] / f"case_{number}.nii.gz", levels(prob).astype(stored))
    for number, case in enumerate(cases(folders).cases()):
        np.testing.assert_allclose(case.prob, prob[number % 6], atol=0.002)


@pytest.mark.parametrize("value", [1, 255])
def test_labels_of_0_and_1_or_255_are_lesion(folders: tuple[Path, Path], value: int) -> None:
    for number in range(2):
        save(folders[0] / f"case_{number}.nii.gz", value * block(number))
    assert all((case.prob == case.target).all() for case in cases(folders).cases())


def test_classes_are_told_apart_where_they_have_values(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        for number in range(2):
            labels = block(number) * np.uint8(2)
            labels[2, 5, 7] = 7
            save(folder / f"case_{number}.nii.gz", labels)
    assert "7" in refusal(folders)
    chosen = cases(folders, lesion_values=[2, 7])
    assert sum(int(case.target.sum()) for case in chosen.cases()) == block(0).sum() + block(1).sum()
    source = cases(folders, classes={"a": 7, "b": 2})
    case = list(source.cases())[2]
    assert case.label[5, 7] == 1
    assert set(np.unique(case.label)) == {0, 1, 2}
    np.testing.assert_array_equal(case.class_prob.argmax(0), case.label)
    np.testing.assert_array_equal(case.class_prob.sum(0), 1)
    assert "name every value in data.classes" in refusal(folders, classes={"a": 7})


def test_without_a_place_in_space_distances_are_in_px(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        for number in range(2):
            save(folder / f"case_{number}.nii.gz", block(number), affine=np.diag([-1, -1, 1, 1.0]))
    source = cases(folders)
    assert not source.has_spacing
    assert {(case.spacing, case.scan.distance) for case in source.cases()} == {(None, None)}


def test_geometry_that_disagrees_is_named(folders: tuple[Path, Path]) -> None:
    moved = AFFINE.copy()
    moved[2, 3] += 5
    save(folders[0] / "case_0.nii.gz", block(), affine=moved)
    message = refusal(folders)
    assert (
        f"{folders[0] / 'case_0.nii.gz'} lies 5.0 mm off {folders[1] / 'case_0.nii.gz'}" in message
    )
    save(folders[0] / "case_1.nii.gz", block()[:5])
    message = refusal(folders)
    assert message.startswith("2 predictions")
    assert "5 x 24 x 30 voxels (slices, rows, columns)" in message
    assert f"but {folders[1] / 'case_1.nii.gz'} has 6 x 24 x 30" in message


def test_a_file_without_its_pair_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (folders[0] / "case_1.nii.gz").rename(folders[0] / "other.nii.gz")
    message = refusal(folders)
    assert "case_1 (no volume)" in message
    assert "other (no mask)" in message
    assert "--volumes" in refusal((tmp_path / "nothing", folders[1]))
    (tmp_path / "empty").mkdir()
    assert "no volumes" in refusal((tmp_path / "empty", tmp_path / "empty"))
    save(folders[0] / "other.nii", block())
    assert "the same stem" in refusal(folders)


@pytest.mark.parametrize(
    ("values", "part"),
    [
        (np.full((6, 24, 30), -3.0, np.float32), "labels, or probabilities"),
        (np.full((6, 24, 30), 300.0, np.float32), "labels, or probabilities"),
        (np.full((6, 24, 30), np.nan, np.float32), "NaN"),
        (3 * block(), "unexpected values 3"),
    ],
)
def test_values_that_make_no_sense_are_refused(
    folders: tuple[Path, Path], values: np.ndarray, part: str
) -> None:
    path = folders[0] / "case_1.nii.gz"
    save(path, values)
    message = refusal(folders)
    assert message.startswith(str(path))
    assert part in message


def test_probabilities_are_no_classes(folders: tuple[Path, Path]) -> None:
    save(folders[0] / "case_1.nii.gz", 0.5 * block().astype(np.float32))
    assert "which are no classes" in refusal(folders, classes={"a": 1})


def test_a_damaged_volume_is_named(folders: tuple[Path, Path]) -> None:
    path = folders[0] / "case_0.nii.gz"
    path.write_bytes(path.read_bytes()[:80])
    assert refusal(folders).startswith(str(path))
