from pathlib import Path, PurePath

import pytest

from inference.case_files import case_files
from utils.errors import NonFiniteError, UserError

ENDINGS = ("_a.txt", "_b.txt")


def names_in(folder: Path) -> list[str]:
    """Everything below a folder, hidden ones too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def write(
    out: Path, stem: str, *endings: str, text: str = "new", error: BaseException | None = None
) -> None:
    with case_files(out, PurePath(stem), ENDINGS) as base:
        for ending in endings:
            base.with_name(base.name + ending).write_text(text)
        if error is not None:
            raise error


def test_files_appear_when_all_are_written(tmp_path: Path) -> None:
    with case_files(tmp_path / "out", PurePath("sub/x"), ENDINGS) as base:
        for ending in ENDINGS:
            base.with_name(base.name + ending).write_text("new")
            assert not any((tmp_path / "out" / "sub").glob("x*"))
    assert names_in(tmp_path / "out") == ["sub", "sub/x_a.txt", "sub/x_b.txt"]


def test_files_of_an_earlier_time_are_replaced_or_removed(tmp_path: Path) -> None:
    write(tmp_path, "x", "_a.txt", "_b.txt", text="old")
    write(tmp_path, "x2", "_b.txt", text="of another case")
    (tmp_path / "x_notes.txt").write_text("mine")
    write(tmp_path, "x", "_a.txt")
    assert names_in(tmp_path) == ["x2_b.txt", "x_a.txt", "x_notes.txt"]
    assert (tmp_path / "x_a.txt").read_text() == "new"


@pytest.mark.parametrize("error", [UserError("one"), NonFiniteError("two"), KeyboardInterrupt("C")])
def test_an_error_leaves_what_was_there_before(tmp_path: Path, error: BaseException) -> None:
    write(tmp_path, "x", "_a.txt", text="old")
    with pytest.raises(type(error), match=str(error)):
        write(tmp_path, "x", "_a.txt", text="half", error=error)
    assert names_in(tmp_path) == ["x_a.txt"]
    assert (tmp_path / "x_a.txt").read_text() == "old"


def test_folders_that_were_made_for_a_failed_case_go(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    for out in ("kept", "new/one"):
        with pytest.raises(UserError), case_files(tmp_path / out, PurePath("a/b/x"), ENDINGS):
            raise UserError("no")
    assert names_in(tmp_path) == ["kept", "new"]


def test_messages_name_the_files_that_were_asked_for(tmp_path: Path) -> None:
    wanted = tmp_path / "s" / "x_a.txt"
    with (
        pytest.raises(UserError, match=f"^{wanted}: full$"),
        case_files(tmp_path, PurePath("s/x"), ENDINGS) as base,
    ):
        raise UserError(f"{base.with_name('x_a.txt')}: full")


def test_an_output_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"file/sub/x: cannot be written \(Not a directory"),
        case_files(tmp_path / "file", PurePath("sub/x"), ENDINGS),
    ):
        pass
