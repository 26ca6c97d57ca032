"""What a NIfTI scan with its label and lungs is refused for, in one clear line."""

import re
from pathlib import Path

import numpy as np
import pytest
from nifti_files import SHAPE, found, labels, make_case, pack, read, scan, write_nifti

from datasets.intensity import GREY_LEVELS, LUNG_WINDOW, UNIT_RANGE, IntensityRule
from datasets.sources.file_tree import FileTree
from datasets.sources.source import SourceCase
from datasets.sources.volume_case import open_found, volume_case
from utils.errors import UserError


def refusal(case: SourceCase) -> str:
    with pytest.raises(UserError) as caught:
        read(case)
    return str(caught.value)


@pytest.mark.parametrize("copy_geometry", [False, True])
@pytest.mark.parametrize("kind", ["label", "lung"])
def test_a_label_of_another_size_is_refused(kind: str, copy_geometry: bool, tmp_path: Path) -> None:
    image = write_nifti(tmp_path / "a.nii", scan())
    other = write_nifti(tmp_path / "b.nii", labels(1)[:-1])
    files = {"mask": other} if kind == "label" else {"lung": found(other)}
    message = refusal(make_case(image, copy_geometry=copy_geometry, **files))
    assert message.startswith(f"{other}: holds 5 x 6 x 3 voxels, its scan {image} 5 x 6 x 4;")


@pytest.mark.parametrize("value", [3, -1, 255, 0.5, 1.4])
def test_a_value_outside_the_label_map_is_refused(value: float, tmp_path: Path) -> None:
    classes = labels(1, 2).astype(np.float32)
    classes[2, 3, 1] = value
    image = write_nifti(tmp_path / "a.nii", scan())
    mask = write_nifti(tmp_path / "b.nii", classes)
    message = refusal(make_case(image, mask))
    expected = f"{mask}: slice 2 holds the label {value:g}, not one of 0, 1, 2;"
    assert message.startswith(expected)


@pytest.mark.parametrize(
    ("rule", "low", "high", "reason"),
    [
        (LUNG_WINDOW, 0, 255, "hold no air and so are no Hounsfield units"),
        (LUNG_WINDOW, 0, 1, "hold no air and so are no Hounsfield units"),
        (LUNG_WINDOW, 24, 4000, "hold no air and so are no Hounsfield units"),
        (GREY_LEVELS, -1024, 300, "are no grey levels of 0 to 255"),
        (GREY_LEVELS, 0, 4095, "are no grey levels of 0 to 255"),
        (GREY_LEVELS, 0, 1, "are black, being 0 to 1 rather than 0 to 255"),
        (GREY_LEVELS, 0, 20, "are all but black as grey levels of 0-255"),
        (UNIT_RANGE, 0, 255, "do not lie in 0 to 1"),
        (UNIT_RANGE, -1000, 1, "do not lie in 0 to 1"),
        (UNIT_RANGE, -0.5, 0.5, "do not lie in 0 to 1"),
    ],
)
def test_values_of_another_unit_are_refused(
    rule: IntensityRule, low: float, high: float, reason: str, tmp_path: Path
) -> None:
    values = np.linspace(low, high, np.prod(SHAPE)).reshape(SHAPE).astype(np.float32)
    image = write_nifti(tmp_path / "a.nii", values)
    message = refusal(make_case(image, rule=rule))
    assert message.startswith(f"{image}: its values, {low} to {high}, {reason}; take the scan")


def test_a_voxel_that_is_not_a_number_names_the_file_and_the_slice(tmp_path: Path) -> None:
    values = scan().astype(np.float32)
    values[3, 0, 0] = np.nan
    image = write_nifti(tmp_path / "a.nii", values)
    assert refusal(make_case(image)).startswith(f"{image}: slice 3 holds NaN")


def test_messages_name_the_archive_and_the_file_in_it(tmp_path: Path) -> None:
    values = scan().astype(np.float32)
    values[0, 0, 0] = np.inf
    write_nifti(tmp_path / "loose" / "a.nii", values)
    (tmp_path / "loose" / "b.nii.gz").write_bytes(b"no scan")
    archive = pack(tmp_path / "x.zip", tmp_path / "loose")
    infinite, nothing = FileTree(archive).files
    case = volume_case("a", "a", image=infinite, mask=None, rule=LUNG_WINDOW, labels={})
    assert refusal(case).startswith(f"{archive}:a.nii: slice 0 holds NaN or infinite")
    with pytest.raises(UserError, match=f"^{re.escape(str(archive))}:b.nii.gz: not a NIfTI"):
        open_found(nothing).__enter__()
