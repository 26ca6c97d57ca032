import shutil
from pathlib import Path, PurePath

import numpy as np
import pytest
from dicom_files import at, write_series
from pydicom import dcmread
from pydicom.fileset import FileSet
from pydicom.uid import NuclearMedicineImageStorage

from datasets.image_io import write_png
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


def test_files_that_a_shell_names_one_by_one_are_one_series(tmp_path: Path) -> None:
    write_series(tmp_path / "in", VALUES)
    touch(tmp_path, "in/notes.txt")
    found = find_inputs(sorted((tmp_path / "in").iterdir()), tmp_path / "out")
    (case,) = found.cases
    assert case.stem == PurePath("series_2_Thorax_1_0_B70f")
    assert case.path == tmp_path / "in"
    assert len(case.series.files) == 2
    assert found.ignored == [tmp_path / "in/notes.txt"]


def test_a_series_in_two_named_folders_is_one_and_equal_titles_are_told_apart(
    tmp_path: Path,
) -> None:
    write_series(tmp_path / "a", VALUES)
    write_series(tmp_path / "b", VALUES, origin=(-120, -130, 45), names="N{}".format)
    (case,) = find_inputs([tmp_path / "a", tmp_path / "b"], tmp_path / "out").cases
    assert len(case.series.files) == 4
    write_series(tmp_path / "c", VALUES, seed="c")
    found = find_inputs([tmp_path / name for name in "abc"], tmp_path / "out")
    assert [len(case.series.files) for case in found.cases] == [4, 2]
    assert len(stems(found.cases)) == 2


def write_disk(folder: Path) -> Path:
    """A disk with a scan, its list and icons of the viewer."""
    scan = write_series(folder / "raw", VALUES, names="IM{:06d}".format)
    files = FileSet()
    for path in scan:
        files.add(path)
    files.write(folder / "disk")
    files._stage["t"].cleanup()
    shutil.rmtree(folder / "raw")
    (folder / "disk" / "VIEWER").mkdir()
    write_png(folder / "disk" / "VIEWER" / "logo.png", np.zeros((48, 48, 3), np.uint8))
    write_png(folder / "disk" / "screen.bmp.png", np.full((300, 400), 7, np.uint8))
    (folder / "disk" / "AUTORUN.INF").write_text("[autorun]")
    return folder / "disk"


@pytest.mark.parametrize("named", ["folder", "list", "all in it"])
def test_a_disk_is_its_scan_alone(tmp_path: Path, named: str) -> None:
    disk = write_disk(tmp_path)
    inputs = {
        "folder": [disk],
        "list": [disk / "DICOMDIR"],
        "all in it": sorted(disk.iterdir()),
    }[named]
    found = find_inputs(inputs, tmp_path / "out")
    (case,) = found.cases
    assert len(case.series.files) == 2
    names = {path.name for path in found.ignored}
    assert names == {"logo.png", "screen.bmp.png", "AUTORUN.INF"}


def test_a_list_of_a_disk_without_its_files_is_refused(tmp_path: Path) -> None:
    disk = write_disk(tmp_path)
    shutil.rmtree(disk / "PT000000")
    with pytest.raises(UserError, match=r"DICOMDIR: names files that are not there, PT000000/ST"):
        find_inputs([disk / "DICOMDIR"], tmp_path / "out")


def test_only_coloured_or_tiny_pictures_beside_a_scan_are_no_slices(tmp_path: Path) -> None:
    write_series(tmp_path / "scan", np.zeros((2, 64, 64), np.int16))
    coloured = np.zeros((64, 64, 3), np.uint8)
    coloured[..., 2] = 200
    (tmp_path / "icons").mkdir()
    write_png(tmp_path / "icons" / "a.png", coloured)
    write_png(tmp_path / "icons" / "b.png", np.zeros((15, 15), np.uint8))
    found = find_inputs([tmp_path], tmp_path.parent / "out")
    assert [case.series is not None for case in found.cases] == [True]
    assert sorted(path.name for path in found.ignored) == ["a.png", "b.png"]
    write_png(tmp_path / "slice.png", np.zeros((32, 32), np.uint8))
    found = find_inputs([tmp_path], tmp_path.parent / "out")
    assert set(stems(found.cases)) >= {"slice", "icons/a"}


def test_pictures_beside_other_objects_are_cases(tmp_path: Path) -> None:
    write_series(tmp_path, VALUES, change=at(-1, Modality="NM", SOPClassUID="1.2.3"))
    for path in tmp_path.iterdir():
        dataset = dcmread(path)
        dataset.file_meta.MediaStorageSOPClassUID = NuclearMedicineImageStorage
        dataset.save_as(path)
    with pytest.raises(UserError, match=r"holds no CT series .* but NM \(2\); .*--modality any"):
        find_inputs([tmp_path], tmp_path / "out")
    touch(tmp_path, "s.png")
    found = find_inputs([tmp_path], tmp_path / "out")
    assert stems(found.cases) == {"s": False}
    (note,) = found.notes
    assert note.startswith("no CT among DICOM files, but NM (2); ")
    assert "--modality any" in note
    (case, _) = find_inputs([tmp_path], tmp_path / "out", any_modality=True).cases
    assert not case.is_volume


def test_an_unknown_file_far_from_any_scan_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "in", VALUES)
    touch(tmp_path, "else/notes.docx", "empty/.keep")
    for path in ("else/notes.docx", "empty"):
        inputs = [tmp_path / "in" / "IM0000", tmp_path / path]
        with pytest.raises(UserError, match=rf"--input .*{path}: "):
            find_inputs(inputs, tmp_path / "out")
