"""UESTC-COVID-19 in miniature: two parts, values of 0 to 1, label headers that say nothing."""

from pathlib import Path

import numpy as np
import pytest
from nifti_files import labels, pack, read, scan, stacked, write_nifti

from datasets.intensity import UNIT_RANGE, IntensityRule
from datasets.sources.file_tree import FileTree
from datasets.sources.uestc import SOURCE
from utils.errors import UserError

CLASSES = labels(1)
NAMES = ("case-0001", "case 2")


def unit(seed: int) -> np.ndarray:
    """(slices, H, W) in the units of the set: (HU + 1400) / 1500, cut off."""
    return np.clip((scan(seed).astype(np.float32) + 1400) / 1500, 0, 1)


def make(root: Path) -> Path:
    for seed, part in enumerate(("part1", "part2")):
        for name in NAMES:
            write_nifti(root / part / "image" / f"{name}.nii.gz", unit(seed), "LPS")
            label = root / part / "label" / f"{name}.nii.gz"
            write_nifti(label, CLASSES, "LPS", affine=np.eye(4))
    return root


@pytest.mark.parametrize("nested", ["", "UESTC-COVID-19-20201109T135232Z-001/UESTC-COVID-19"])
@pytest.mark.parametrize("packed", [False, True])
def test_both_parts_are_read_in_the_geometry_of_their_scans(
    packed: bool, nested: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "download"
    make(root / nested)
    if packed:
        root = pack(tmp_path / "UESTC.zip", root)
    cases = {case.name: case for case in SOURCE.find_cases(FileTree(root))}
    expected = {f"{part}_{name}" for part in ("part1", "part2") for name in ("case-0001", "case_2")}
    assert cases.keys() == expected
    for name, case in cases.items():
        slices = read(case)
        pixels = UNIT_RANGE.apply(unit(name.startswith("part2")))
        np.testing.assert_array_equal(stacked(slices, "image"), pixels)
        np.testing.assert_array_equal(stacked(slices, "label"), CLASSES)
        assert case.spacing() == pytest.approx((0.8, 0.7, 5.0))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {root}: label headers of UESTC-COVID-19 are wrong")


def test_grey_levels_are_those_of_minus_1400_to_100_hu() -> None:
    assert IntensityRule("HU", -1400.0, 100.0) == SOURCE.intensity
    hu = np.linspace(-1400, 100, 60).reshape(6, 10)
    difference = UNIT_RANGE.apply((hu + 1400) / 1500).astype(int) - SOURCE.intensity.apply(hu)
    assert np.abs(difference).max() <= 1


def test_a_scan_without_its_label_is_named(tmp_path: Path) -> None:
    (make(tmp_path) / "part2" / "label" / "case-0001.nii.gz").unlink()
    with pytest.raises(UserError, match=r"^no mask for \S+part2/image/case-0001\.nii\.gz: add"):
        SOURCE.find_cases(FileTree(tmp_path))


def test_scans_in_hu_are_refused(tmp_path: Path) -> None:
    write_nifti(make(tmp_path) / "part1" / "image" / "case-0001.nii.gz", scan())
    case = SOURCE.find_cases(FileTree(tmp_path))[1]
    assert case.name == "part1_case-0001"
    with pytest.raises(UserError, match=r"case-0001\.nii\.gz: its values, \S+ to \S+, do not lie"):
        read(case)


def test_other_folders_are_refused_with_what_is_expected(tmp_path: Path) -> None:
    write_nifti(tmp_path / "image" / "a.nii.gz", unit(0))
    with pytest.raises(UserError, match=r"no case found, but image/a\.nii\.gz; expected UESTC"):
        SOURCE.find_cases(FileTree(tmp_path))
