from pathlib import Path, PurePath

import numpy as np
import pytest
from dicom_files import write_series

from inference.inputs import describe_earlier, describe_ignored, find_inputs
from utils.errors import UserError

VALUES = np.zeros((2, 8, 8), np.int16)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def stems(cases: list) -> dict[str, bool]:
    """Where cases go, and whether they are volumes."""
    return {case.stem.as_posix(): case.is_volume for case in cases}


def test_a_folder_is_searched_at_all_depths(tmp_path: Path) -> None:
    touch(tmp_path, "s.PNG", "x/s.jpg", "x/v.nii", "x/y/v.NII.GZ", "a.b.tiff")
    found = find_inputs([tmp_path], tmp_path.parent / "out")
    wanted = {"a.b": False, "s": False, "x/s": False, "x/v": True, "x/y/v": True}
    assert stems(found.cases) == wanted
    assert found.ignored == []


def test_files_that_are_named_lie_flat(tmp_path: Path) -> None:
    touch(tmp_path, "a/s.png", "b/v.nii.gz")
    found = find_inputs([tmp_path / "a/s.png", tmp_path / "b/v.nii.gz"], tmp_path / "out")
    assert stems(found.cases) == {"s": False, "v": True}


def test_dicom_is_told_by_its_content_and_each_series_is_a_case(tmp_path: Path) -> None:
    write_series(tmp_path / "x" / "mixed", VALUES, seed="a", number=1)
    write_series(tmp_path / "x" / "mixed", VALUES, seed="b", number=2, names="{}.dat".format)
    touch(tmp_path, "x/mixed/report.pdf", "x/s.png")
    found = find_inputs([tmp_path], tmp_path.parent / "out")
    folder = "x/mixed/series"
    assert stems(found.cases) == {
        "x/s": False,
        f"{folder}_1_Thorax_1_0_B70f": True,
        f"{folder}_2_Thorax_1_0_B70f": True,
    }
    assert [case.series is not None for case in found.cases] == [False, True, True]
    assert describe_ignored(found.ignored) == "1 file is no case: report.pdf"


def test_a_dicom_folder_and_a_single_file_of_it_may_be_named_themselves(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "in", VALUES)
    for path, num_files in ((tmp_path / "in", 2), (paths[0], 1)):
        (case,) = find_inputs([path], tmp_path / "out").cases
        assert case.stem == PurePath("series_2_Thorax_1_0_B70f")
        assert len(case.series.files) == num_files


def test_what_is_hidden_and_what_an_earlier_run_wrote_is_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "s.png", ".cache/t.png", "._s.png", "out/s_mask.png", "deep/out/u.png")
    write_series(tmp_path / "out" / "d", VALUES)
    found = find_inputs([tmp_path], tmp_path / "out")
    assert stems(found.cases) == {"s": False, "deep/out/u": False}


def test_outputs_of_an_earlier_prediction_are_passed_over_wherever_they_lie(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *("scan.nii.gz", "s.png", "p_mask.nii.gz", "q_sheet.png", "contact_sheet.png"),
        *(f"run1/a/scan{end}" for end in ("_mask.nii.gz", "_prob.nii.gz", "_sheet.png")),
        *(f"run1/a/scan_severity.{suffix}" for suffix in ("json", "csv", "html")),
        *("run1/s_mask.png", "run1/s_overlay.png", "run1/contact_sheet.png"),
        *("s_mask.png", "s_prob.png", "s_overlay.png", "x/contact_sheet.png", "note.txt"),
        *("half/t_mask.nii.gz", "half/t_sheet.png"),
    )
    found = find_inputs([tmp_path], tmp_path / "run2")
    assert stems(found.cases) == {
        "scan": True,
        "s": False,
        "p_mask": True,
        "q_sheet": False,
        "x/contact_sheet": False,
    }
    assert [path.name for path in found.ignored] == ["note.txt"]
    assert len(found.earlier) == 15
    assert describe_earlier(found.earlier).startswith("15 files of an earlier prediction (contact")
    with pytest.raises(UserError, match="run1: holds nothing but 9 files of an earlier prediction"):
        find_inputs([tmp_path / "run1"], tmp_path / "run2")
    both = find_inputs([tmp_path / "run1", tmp_path / "scan.nii.gz"], tmp_path / "run2")
    assert stems(both.cases) == {"scan": True}
    named = find_inputs([tmp_path / "run1/s_mask.png"], tmp_path / "run2")
    assert stems(named.cases) == {"s_mask": False}


def test_the_same_file_named_twice_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "s.png")
    with pytest.raises(UserError, match=r"s\.png: its outputs would be called as those of"):
        find_inputs([tmp_path / "s.png", tmp_path], tmp_path / "out")


def test_names_of_many_ignored_files_are_cut_short(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.txt" for number in range(8)]
    assert describe_ignored(paths).endswith("8 files are no case: 0.txt, 1.txt, 2.txt, 3.txt, "
                                            "4.txt and 3 more")  # fmt: skip
