"""A NIfTI scan with its label and lungs: exact slices in every orientation."""

import pickle
import tempfile
import tracemalloc
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nifti_files import (
    SHAPE,
    SPACING,
    found,
    labels,
    make_case,
    pack,
    read,
    scan,
    stacked,
    write_nifti,
)

from datasets.intensity import GREY_LEVELS, LUNG_WINDOW, UNIT_RANGE, IntensityRule
from datasets.sources.file_tree import FileTree
from datasets.sources.volume_case import volume_case

ORIENTATIONS = [
    "".join(codes)
    for axes in permutations(("LR", "PA", "SI"))
    for codes in product(*axes)
]  # fmt: skip


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_every_orientation_gives_the_same_slices(codes: str, tmp_path: Path) -> None:
    values, classes = scan(), labels(1, 2)
    image = write_nifti(tmp_path / "scan.nii.gz", values, codes)
    mask = write_nifti(tmp_path / "label.nii.gz", classes, codes)
    slices = read(make_case(image, mask))
    np.testing.assert_array_equal(stacked(slices, "image"), LUNG_WINDOW.apply(values))
    np.testing.assert_array_equal(stacked(slices, "label"), classes)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "SAR", "PIR"])
def test_the_voxel_at_head_front_and_right_is_the_first_pixel_of_the_last_slice(
    codes: str, tmp_path: Path
) -> None:
    image = write_nifti(tmp_path / "scan.nii", np.full(SHAPE, -1250, np.int16), codes)
    stored = nib.load(image)
    voxels = np.array(np.asarray(stored.dataobj))
    indices = np.argwhere(np.ones_like(voxels))
    places = nib.affines.apply_affine(stored.affine, indices)  # mm to the right, front and head
    voxels[tuple(indices[places.sum(1).argmax()])] = 250
    nib.save(nib.Nifti1Image(voxels, stored.affine), image)
    pixels = stacked(read(make_case(image)), "image")
    assert np.argwhere(pixels).tolist() == [[SHAPE[0] - 1, 0, 0]]


def test_an_oblique_scan_keeps_its_own_planes(tmp_path: Path) -> None:
    values = scan()
    turned = np.eye(4)
    turned[:3, :3] = nib.eulerangles.euler2mat(0.2, -0.1, 0.15) @ np.diag([-0.7, -0.8, 5])
    image = write_nifti(tmp_path / "scan.nii", values, affine=turned)
    case = make_case(image)
    np.testing.assert_array_equal(stacked(read(case), "image"), LUNG_WINDOW.apply(values))
    assert case.spacing() == pytest.approx((0.8, 0.7, 5.0), rel=1e-5)


def test_sixteen_bits_are_on_request(tmp_path: Path) -> None:
    values = scan()
    pixels = stacked(read(make_case(write_nifti(tmp_path / "a.nii", values)), 16), "image")
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels, LUNG_WINDOW.apply(values, 16))


def test_label_values_become_the_classes_of_the_map(tmp_path: Path) -> None:
    values = labels(1, 2, 3)
    image = write_nifti(tmp_path / "a.nii", scan())
    mask = write_nifti(tmp_path / "b.nii", values)
    slices = read(make_case(image, mask, labels={1: 0, 2: 0, 3: 1}))
    classes = stacked(slices, "label")
    assert classes.dtype == np.uint8
    np.testing.assert_array_equal(classes, values == 3)


def test_a_slope_that_gives_nearly_two_gives_class_two(tmp_path: Path) -> None:
    classes = labels(1, 2)
    image = write_nifti(tmp_path / "a.nii", scan())
    mask = write_nifti(tmp_path / "b.nii", (classes * 0.99997).astype(np.float32))
    np.testing.assert_array_equal(stacked(read(make_case(image, mask)), "label"), classes)


def test_lungs_are_whatever_is_not_zero(tmp_path: Path) -> None:
    lungs = labels(1, 2)
    image = write_nifti(tmp_path / "a.nii", scan())
    lung = found(write_nifti(tmp_path / "c.nii", lungs, "RAS"))
    slices = read(make_case(image, lung=lung))
    assert stacked(slices, "lung").dtype == bool
    np.testing.assert_array_equal(stacked(slices, "lung"), lungs > 0)


def test_a_scan_without_label_and_lungs_has_none(tmp_path: Path) -> None:
    slices = read(make_case(write_nifti(tmp_path / "a.nii", scan())))
    assert len(slices) == SHAPE[0]
    assert all(item.label is None and item.lung is None for item in slices)


def test_the_spacing_is_kept_from_reading(tmp_path: Path) -> None:
    image = write_nifti(tmp_path / "a.nii.gz", scan(), "SAL")
    case = make_case(image)
    read(case)
    image.unlink()
    assert case.spacing() == pytest.approx((SPACING[1], SPACING[2], SPACING[0]))


def test_the_spacing_is_known_before_reading(tmp_path: Path) -> None:
    case = make_case(write_nifti(tmp_path / "a.nii.gz", scan()))
    assert case.spacing() == pytest.approx((0.8, 0.7, 5.0))


def test_a_case_can_be_read_by_another_process(tmp_path: Path) -> None:
    image = write_nifti(tmp_path / "a.nii", scan())
    case = make_case(image)
    again = volume_case("scan", "somebody", image=found(image), mask=None, rule=LUNG_WINDOW,
                        labels={})._replace(read=pickle.loads(pickle.dumps(case.read)))  # fmt: skip
    np.testing.assert_array_equal(stacked(read(again), "image"), stacked(read(case), "image"))


def test_a_label_stored_another_way_is_turned_by_its_own_header(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = labels(1, 2)
    image = write_nifti(tmp_path / "a.nii", scan(), "LPS")
    mask = write_nifti(tmp_path / "b.nii", classes, "ASR")
    np.testing.assert_array_equal(stacked(read(make_case(image, mask)), "label"), classes)
    assert capsys.readouterr().err == ""


def test_a_label_that_is_elsewhere_takes_the_scan_s_header_and_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = labels(1, 2)
    image = write_nifti(tmp_path / "a.nii", scan(), "LPS")
    mask = write_nifti(tmp_path / "b.nii", classes, "LPS", affine=np.eye(4))
    np.testing.assert_array_equal(stacked(read(make_case(image, mask)), "label"), classes)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {mask}: ")
    assert str(image) in line


def test_a_known_bad_label_header_is_not_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = labels(1, 2)
    image = write_nifti(tmp_path / "a.nii", scan(), "LPS")
    mirrored = nib.load(write_nifti(tmp_path / "m.nii", classes, "RPS")).affine  # the same box
    mask = write_nifti(tmp_path / "b.nii", classes, "LPS", affine=mirrored)
    case = make_case(image, mask, copy_geometry=True)
    np.testing.assert_array_equal(stacked(read(case), "label"), classes)
    assert capsys.readouterr().err == ""


def test_rounding_in_a_header_is_no_disagreement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = write_nifti(tmp_path / "a.nii", scan())
    affine = nib.load(image).affine + 1e-4
    mask = write_nifti(tmp_path / "b.nii", labels(1), affine=affine * [[1], [1], [1], [0]])
    read(make_case(image, mask))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("rule", [GREY_LEVELS, UNIT_RANGE, IntensityRule("arbitrary", -5, 900)])
def test_values_of_the_rule_s_unit_are_taken(rule: IntensityRule, tmp_path: Path) -> None:
    values = np.linspace(rule.low, rule.high, np.prod(SHAPE)).reshape(SHAPE).astype(np.float32)
    image = write_nifti(tmp_path / "a.nii", values)
    pixels = stacked(read(make_case(image, rule=rule)), "image")
    np.testing.assert_array_equal(pixels, rule.apply(values))


def test_a_mended_world_turns_scan_and_label_alike(tmp_path: Path) -> None:
    values, classes = scan(), labels(1, 2)
    image = write_nifti(tmp_path / "a.nii", values)
    mask = write_nifti(tmp_path / "b.nii", classes, "RAI")
    slices = read(make_case(image, mask, mend=lambda affine: np.diag([1.0, -1, 1, 1])))
    turned = LUNG_WINDOW.apply(values)[:, ::-1]
    np.testing.assert_array_equal(stacked(slices, "image"), turned)
    np.testing.assert_array_equal(stacked(slices, "label"), classes[:, ::-1])


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_file_in_an_archive_is_read_and_leaves_nothing_behind(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = scan()
    write_nifti(tmp_path / "loose" / f"a{suffix}", values)
    archive = pack(tmp_path / "x.zip", tmp_path / "loose")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    (file,) = FileTree(archive).files
    case = volume_case("a", "a", image=file, mask=None, rule=LUNG_WINDOW, labels={})
    np.testing.assert_array_equal(stacked(read(case), "image"), LUNG_WINDOW.apply(values))
    assert list(scratch.iterdir()) == []


def test_a_scan_without_orientation_gets_a_warning_and_no_spacing(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    case = make_case(write_nifti(tmp_path / "a.nii", scan(), affine=np.eye(4)))
    assert case.spacing() is None
    assert len(read(case)) == SHAPE[0]
    assert case.spacing() is None
    line = f"warning: {tmp_path / 'a.nii'}: its header has no orientation"
    assert capsys.readouterr().err.count(line) == 1


def test_memory_holds_a_few_slices_whatever_the_volume(tmp_path: Path) -> None:
    values = np.full((120, 96, 96), -800, np.int16)
    image = write_nifti(tmp_path / "a.nii", values)
    mask = write_nifti(tmp_path / "b.nii", (values > 0).astype(np.int16))
    case = make_case(image, mask)
    tracemalloc.start()
    try:
        for _ in case.read(8):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * 96 * 96 * 4 < values.nbytes / 4
