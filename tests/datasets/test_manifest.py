"""Manifests: who is who, how large a px is, and unfit files."""

from pathlib import Path

import pytest

from datasets.manifest import (
    SPLITS,
    ManifestEntry,
    read_manifest,
    slice_key,
)
from datasets.slice_names import patient_of_stem
from utils.errors import UserError


def read(tmp_path: Path, text: str) -> dict[tuple[str, str], ManifestEntry]:
    (tmp_path / "manifest.csv").write_text(text, encoding="utf-8")
    return read_manifest(tmp_path)


def test_there_are_no_entries_without_a_manifest(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) == {}


def test_equal_stems_of_two_splits_are_told_apart(tmp_path: Path) -> None:
    entries = read(tmp_path, "file,split,patient\n1.png,train,a\n1.png,val,b\n")
    assert entries == {
        ("train", "1"): ManifestEntry("a", None),
        ("val", "1"): ManifestEntry("b", None),
    }


def test_without_a_split_a_row_speaks_for_every_split(tmp_path: Path) -> None:
    entries = read(tmp_path, "file,patient\n1.png,a\n")
    assert sorted(entries) == [("test", "1"), ("train", "1"), ("val", "1")]


@pytest.mark.parametrize(
    ("text", "spacing"),
    [
        ("0.7", (0.7, 0.7)),
        ("0.7x0.8", (0.7, 0.8)),
        ("0.7x0.8x5", (0.7, 0.8)),
        (" 1 x 2 ", (1.0, 2.0)),
        ("", None),
    ],
)
def test_spacing_is_height_and_width_of_a_px(text: str, spacing: tuple, tmp_path: Path) -> None:
    entries = read(tmp_path, f"file,patient,spacing_mm\n1.png,a,{text}\n")
    assert entries["test", "1"].spacing == spacing


@pytest.mark.parametrize("text", ["wide", "0", "-1x1", "nan", "inf", "1x2x3x4", "1x", "1,5"])
def test_a_spacing_that_is_no_length_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"manifest.csv:2: spacing_mm .*write 0\.7"):
        read(tmp_path, f'file,patient,spacing_mm\n1.png,a,"{text}"\n')


@pytest.mark.parametrize(
    ("stem", "patient"),
    [("p1_z012", "p1"), ("p1-s3", "p1"), ("a_slice_4", "a"), ("7", "7"), ("case_7", "case_7")],
)
def test_patient_of_a_stem(stem: str, patient: str) -> None:
    assert patient_of_stem(stem) == patient


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,person\n1.png,Ann\n", ": no column patient"),
        ("name,patient\n1.png,Ann\n", ": no column file"),
        ("file:patient\n1.png:Ann\n", ": no column file, patient"),
        ("", ": no column file, patient"),
        ("file,patient\n1.png,Ann\n2.png\n", ":3: no file or no patient"),
        ("patient,file\nAnn,1.png\nBob,\n", ":3: no file or no patient"),
    ],
    ids=["no patient", "no file", "colons", "empty", "short row", "empty cell"],
)
def test_an_unfit_manifest_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_manifest(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'manifest.csv'}{message}")


def test_a_manifest_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes("file,patient\n1.png,Müller\n".encode("cp1252"))
    with pytest.raises(UserError, match="not UTF-8"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "file;patient\n1.png;Ann\n",
        "file\tpatient\n1.png\tAnn\n",
        "file|patient\n1.png|Ann\n",
        "sep=;\nfile;patient\n1.png;Ann\n",
        "File,PATIENT\n1.png,Ann\n",
        " file , patient \n 1.png , Ann \n",
        '"file";"patient"\r\n"1.png";"Ann"\r\n;;\r\n',
        "file,patient\nC:\\data\\train\\image\\1.png,Ann\n",
        "file,patient\nimages/1.PNG,Ann\n",
        "file,patient\n1,Ann\n",
        "file,patient\n1.dcm,Ann\n",
        "note;file;patient\na, b, c;1.png;Ann\n",
    ],
    ids=[
        "semicolon", "tab", "bar", "sep line", "capitals", "blanks", "quotes and a blank row",
        "windows path", "posix path", "no suffix", "another suffix", "commas in cells",
    ],
)  # fmt: skip
def test_a_manifest_is_read_as_spreadsheets_write_it(text: str, tmp_path: Path) -> None:
    entries = read(tmp_path, text)
    assert entries == {(split, "1"): ManifestEntry("Ann", None) for split in SPLITS}


def test_unicode_text_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes("file\tpatient\n1.png\tMüller\n".encode("utf-16"))
    assert read_manifest(tmp_path)["val", "1"].patient == "Müller"


def test_dots_belong_to_a_name_unless_they_begin_the_suffix_of_an_image(tmp_path: Path) -> None:
    entries = read(tmp_path, "file,patient\ncase1.slice2,Ann\ncase1.slice3.png,Ann\n")
    assert sorted({stem for _, stem in entries}) == ["case1.slice2", "case1.slice3"]


def test_a_name_is_one_whatever_its_letters_and_its_unicode_form(tmp_path: Path) -> None:
    composed, apart = "M\u00fcller_1", "mu\u0308ller_1"
    entries = read(tmp_path, f"file,patient\n{composed}.png,Ann\n")
    assert entries[slice_key("train", apart)].patient == "Ann"


def test_a_path_tells_equal_stems_of_two_splits_apart_where_they_are(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / split / "image").mkdir(parents=True)
        (tmp_path / split / "image" / "1.png").touch()
    rows = "D:\\x\\train\\image\\1.png,Ann\nval/1.png,Bob\n"
    entries = read(tmp_path, f"file,patient\n{rows}")
    assert {key: entry.patient for key, entry in entries.items()} == {
        ("train", "1"): "Ann",
        ("val", "1"): "Bob",
    }


def test_a_path_from_another_split_does_not_hide_a_patient(tmp_path: Path) -> None:
    (tmp_path / "val/image").mkdir(parents=True)
    (tmp_path / "val/image/1.png").touch()  # moved since the manifest was written
    assert read(tmp_path, "file,patient\ntrain/image/1.png,Ann\n")["val", "1"].patient == "Ann"


def test_a_cell_that_is_no_csv_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"manifest.csv:2: not a row of a table"):
        read(tmp_path, f"file,patient\n{'x' * 200_000},Ann\n")
