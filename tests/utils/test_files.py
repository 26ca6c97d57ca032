"""Files and folders appear whole or not at all."""

import csv
import errno
import os
import shutil
import stat
from pathlib import Path

import pytest

from utils.errors import UserError, explain
from utils.files import (
    DRAFTS,
    cannot_write,
    draft_folder,
    read_rows,
    whole_file,
    whole_folder,
    write_rows,
)


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with whole_file(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.suffix == ".json"
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert os.listdir(tmp_path) == ["a.json"]


def test_an_error_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail() -> None:
        with whole_file(path) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_two_writers_of_a_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with whole_file(path) as first, whole_file(path) as second:
        first.write_text("first")
        second.write_text("second")
        assert first.read_text() == "first"
    assert path.read_text() == "first"  # the last to end
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "a.json"
    with (
        pytest.raises(UserError, match="cannot be written") as caught,
        whole_file(path) as temporary,
    ):
        temporary.write_text("x")
    assert str(caught.value).startswith(f"{path}: ")


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    with whole_folder(out) as partial:
        (partial / "a").write_text("x")
        assert not out.exists()
    assert (out / "a").read_text() == "x"
    assert os.listdir(out.parent) == ["out"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o755


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with whole_folder(out) as partial:
        (partial / "a").touch()
    assert os.listdir(out) == ["a"]


@pytest.mark.parametrize("error", [UserError("no"), KeyboardInterrupt(), OSError(28, "No space")])
def test_an_error_leaves_no_folder(error: BaseException, tmp_path: Path) -> None:
    def fail() -> None:
        with whole_folder(tmp_path / "out") as partial:
            (partial / "deep").mkdir()
            (partial / "deep" / "a").touch()
            raise error

    with pytest.raises((UserError, KeyboardInterrupt)):
        fail()
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_told_in_one_line_with_what_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught, whole_folder(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    assert str(caught.value).startswith(f"{tmp_path / 'out'}: cannot be written (No space left")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_there_is_kept(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if kind == "folder":
        out.mkdir()
    mine = out / "mine.txt" if kind == "folder" else out
    mine.write_text("keep")
    with pytest.raises(UserError, match="exists and is not empty"), whole_folder(out):
        pass
    assert mine.read_text() == "keep"


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "make room on the disk"),
        (errno.ENAMETOOLONG, "shorten its name"),
        (errno.ENOENT, "was it removed or renamed meanwhile"),
        (errno.EACCES, "get the right to write there"),
        (errno.EROFS, "or choose another folder"),
    ],
)
def test_the_advice_fits_the_reason(number: int, advice: str, tmp_path: Path) -> None:
    error = OSError(number, os.strerror(number))
    assert advice in str(cannot_write(tmp_path, error))
    assert ("make room" in str(cannot_write(tmp_path, error))) == (number == errno.ENOSPC)
    assert advice in str(explain(error, tmp_path, 1))


def test_a_folder_removed_meanwhile_is_no_matter_of_room(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()

    def lose() -> None:
        with whole_file(folder / "last.pt") as temporary:
            temporary.write_text("half")
            shutil.rmtree(folder)

    with pytest.raises(UserError, match=r"last\.pt: cannot be written .*removed or renamed"):
        lose()


@pytest.mark.parametrize("name", ["s" * 251 + ".csv", "病" * 83 + ".csv", "a.csv"])
def test_a_name_that_the_disk_takes_is_not_too_long_for_a_draft(name: str, tmp_path: Path) -> None:
    with whole_file(tmp_path / name) as temporary:
        assert temporary.suffix == ".csv"
        assert list(tmp_path.glob(DRAFTS)) == []
        temporary.write_text("whole")
        assert list(tmp_path.glob(DRAFTS)) == [temporary]
    with draft_folder(tmp_path, name) as draft:
        assert draft.is_dir()
    assert os.listdir(tmp_path) == [name]


def test_a_name_that_the_disk_does_not_take_is_said_to_be_too_long(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"\(File name too long\); shorten its name"),
        whole_file(tmp_path / ("s" * 256)) as temporary,
    ):
        temporary.write_text("whole")


def test_no_spreadsheet_runs_a_cell(tmp_path: Path) -> None:
    cells = ["=1+1", "+x", "-x", "@x", "\tx", "-1.5", "+2e3", "x=1", "'x", "", -3, 2.5, None]
    rows = [{"cell": cell, "number": 1.5} for cell in cells]
    write_rows(tmp_path / "a.csv", rows)
    with (tmp_path / "a.csv").open(newline="") as stream:
        written = [row["cell"] for row in csv.DictReader(stream)]
    assert written[:5] == ["'=1+1", "'+x", "'-x", "'@x", "'\tx"]
    assert written[5:] == ["-1.5", "+2e3", "x=1", "'x", "", "-3", "2.5", ""]
    read = [row["cell"] for row in read_rows(tmp_path / "a.csv")]
    assert read == ["" if cell is None else str(cell) for cell in cells]
