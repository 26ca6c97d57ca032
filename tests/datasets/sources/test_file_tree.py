"""Downloads as they lie there: folders, archives, both; and archives that are not to be trusted."""

import os
import shutil
import unicodedata
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from datasets.sources.file_tree import FileTree, FoundFile
from utils.errors import UserError

CONTENT = np.random.default_rng(0).bytes(5000)


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)
    return folder


def zipped(archive: Path, *names: str, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", compression) as stream:
        for name in names:
            stream.writestr(name, CONTENT)
    return archive


def places(root: Path) -> list[str]:
    return sorted(str(file.place) for file in FileTree(root).files)


def refuse(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        FileTree(root)
    return str(caught.value)


def refuse_unpacking(file: FoundFile) -> str:
    with pytest.raises(UserError) as caught, file.on_disk():
        pytest.fail("unpacked all the same")
    return str(caught.value)


def test_nested_folders_and_archives_are_one_tree(tmp_path: Path) -> None:
    fill(tmp_path, "a/b/1.nii", "a/2.nii.gz", "3.png")
    zipped(tmp_path / "a" / "masks.zip", "deep/1.nii", "2.nii.gz")
    assert places(tmp_path) == [
        "3.png", "a/2.nii.gz", "a/b/1.nii", "a/masks/2.nii.gz", "a/masks/deep/1.nii",
    ]  # fmt: skip


def test_an_archive_may_be_given_itself(tmp_path: Path) -> None:
    (file,) = FileTree(zipped(tmp_path / "set.ZIP", "top/1.nii.gz")).files
    assert str(file.place) == "set/top/1.nii.gz"
    assert str(file) == f"{tmp_path / 'set.ZIP'}:top/1.nii.gz"
    with file.on_disk() as path:
        assert path.name == "1.nii.gz"
        assert path.read_bytes() == CONTENT
    assert not path.exists()


def test_a_single_file_may_be_given_itself(tmp_path: Path) -> None:
    (file,) = FileTree(fill(tmp_path, "tr_im.nii.gz") / "tr_im.nii.gz").files
    with file.on_disk() as path:
        assert path == tmp_path / "tr_im.nii.gz"
    assert path.exists()


@pytest.mark.parametrize(
    ("name", "stem", "suffix"),
    [
        ("a/scan.nii.gz", "scan", ".nii.gz"),
        ("scan.NII.GZ", "scan", ".nii.gz"),
        ("scan.v2.nii", "scan.v2", ".nii"),
        ("x.PNG", "x", ".png"),
        ("README", "README", ""),
    ],
)
def test_the_suffix_is_told_from_the_stem(name: str, stem: str, suffix: str) -> None:
    file = FoundFile(Path(name), None, PurePosixPath(name))
    assert (file.stem, file.suffix) == (stem, suffix)


def test_files_are_picked_by_suffix(tmp_path: Path) -> None:
    fill(tmp_path, "1.nii", "2.nii.gz", "3.gz", "4.png")
    picked = FileTree(tmp_path).with_suffix(".nii", ".nii.gz")
    assert [file.name for file in picked] == ["1.nii", "2.nii.gz"]


def test_what_operating_systems_leave_is_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.nii", "a/._1.nii", "a/.DS_Store", "Thumbs.db")
    zipped(tmp_path / "b.zip", "1.nii", "__MACOSX/._1.nii", "__MACOSX/b/1.nii", "._1.nii")
    assert places(tmp_path) == ["a/1.nii", "b/1.nii"]


@pytest.mark.parametrize("where", ["set", "."])
def test_what_was_unpacked_beside_its_archive_counts_once(where: str, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "set.zip", "im/1.nii", "im/2.nii")
    shutil.unpack_archive(archive, tmp_path / where)
    files = FileTree(tmp_path).files
    assert len(files) == 2
    assert all(file.member is None for file in files)


def test_what_was_not_unpacked_whole_is_read_from_the_archive(tmp_path: Path) -> None:
    zipped(tmp_path / "set.zip", "1.nii", "2.nii", "3.nii")
    fill(tmp_path / "set", "1.nii")
    (tmp_path / "set" / "2.nii").write_bytes(CONTENT[:100])
    packed = [file.name for file in FileTree(tmp_path).files if file.member]
    assert packed == ["2.nii", "3.nii"]


def test_a_scan_beside_the_archive_of_masks_does_not_hide_its_mask(tmp_path: Path) -> None:
    zipped(tmp_path / "masks.zip", "1.nii")
    fill(tmp_path, "1.nii")
    assert places(tmp_path) == ["1.nii", "masks/1.nii"]


def test_an_archive_given_itself_does_not_look_beside(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "set.zip", "1.nii")
    fill(tmp_path, "1.nii")
    assert places(archive) == ["set/1.nii"]


@pytest.mark.parametrize(
    "name", ["../evil.nii", "a/../../evil.nii", "/etc/evil.nii", "..\\evil.nii", "C:\\evil.nii"]
)
def test_an_archive_that_points_outside_is_refused(name: str, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "set.zip", "fine.nii", name)
    assert refuse(tmp_path).startswith(f"{archive}: holds {name!r}, which points outside of it;")


@pytest.mark.parametrize("num_bytes", [0, 100, 3000])
def test_a_truncated_archive_is_refused(num_bytes: int, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "set.zip", "1.nii")
    archive.write_bytes(archive.read_bytes()[:num_bytes])
    message = refuse(tmp_path)
    assert message.startswith(f"{archive}: not a whole zip archive (")
    assert message.endswith("; download it again")


def test_something_else_called_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_text("<html>quota exceeded</html>")
    assert "set.zip: not a whole zip archive: a web page" in refuse(tmp_path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_is_refused_by_name(compression: int, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "set.zip", "1.nii", compression=compression)
    content = bytearray(archive.read_bytes())
    content[1000] ^= 0xFF
    archive.write_bytes(content)
    (file,) = FileTree(archive).files
    message = refuse_unpacking(file)
    assert message.startswith(f"{archive}:1.nii: damaged (")
    assert message.endswith("; download the archive again")


def test_an_encrypted_member_is_refused_by_name(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "set.zip", "1.nii")
    content = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    archive.write_bytes(content)
    (file,) = FileTree(archive).files
    message = refuse_unpacking(file)
    assert "encrypted" in message
    assert message.endswith("; unpack the archive yourself")


def test_an_archive_that_is_gone_by_now_is_named(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "set.zip", "1.nii")
    (file,) = FileTree(archive).files
    archive.unlink()
    message = refuse_unpacking(file)
    assert message == f"{archive}: cannot be read (No such file or directory); restore it"


def test_no_room_to_unpack_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = FileTree(zipped(tmp_path / "set.zip", "1.nii")).files

    def full(*arguments: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(shutil, "copyfileobj", full)
    message = refuse_unpacking(file)
    assert "(No space left on device); make room there, or set TMPDIR" in message


def test_a_place_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refuse(tmp_path / "none") == f"--from {tmp_path / 'none'}: no such file or folder"


def test_the_first_files_are_described(tmp_path: Path) -> None:
    assert FileTree(tmp_path).describe() == "no file"
    fill(tmp_path, *(f"{number}.nii" for number in range(5)))
    assert FileTree(tmp_path).describe(3) == "0.nii, 1.nii, 2.nii and 2 more"


def test_places_are_in_composed_letters(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "José") for form in ("NFC", "NFD"))
    fill(tmp_path, f"{apart}/a.nii.gz")
    zipped(tmp_path / "set.zip", f"{apart}.nii.gz")
    assert places(tmp_path) == [f"{composed}/a.nii.gz", f"set/{composed}.nii.gz"]
    for file in FileTree(tmp_path).files:
        assert file.suffix == ".nii.gz"
        with file.on_disk() as path:
            assert path.read_bytes() == CONTENT
