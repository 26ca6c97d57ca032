"""Manifests: who is who, how large a px is, and unfit files."""

from pathlib import Path

import pytest

from datasets.manifest import ManifestEntry, patient_of_stem, read_manifest
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
        ("file;patient\n1.png;Ann\n", ": no column file, patient"),
        ("", ": no column file, patient"),
        ("file,patient\n1.png,Ann\n2.png\n", ":3: no file or no patient"),
        ("patient,file\nAnn,1.png\nBob,\n", ":3: no file or no patient"),
    ],
    ids=["no patient", "no file", "semicolons", "empty", "short row", "empty cell"],
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
