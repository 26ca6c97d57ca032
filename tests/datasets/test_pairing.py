"""Pairing by file stem, patient and spacing of a slice."""

import unicodedata
from pathlib import Path

import pytest

from datasets.pairing import SliceFiles, check_patients, find_slices, resolve_split
from utils.errors import UserError


def touch(folder: Path, *names: str) -> None:
    """Make files; pairing facts at names alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def make_split(root: Path, *stems: str, split: str = "train") -> Path:
    """Images and masks with equal names."""
    for kind in ("image", "mask"):
        touch(root / split / kind, *(f"{stem}.png" for stem in stems))
    return root


def patients(root: Path, split: str = "train") -> dict[str, str]:
    return {entry.name: entry.patient for entry in find_slices(root, split)}


def refusal(root: Path, split: str = "train") -> str:
    with pytest.raises(UserError) as caught:
        find_slices(root, split)
    return str(caught.value)


def entry(name: str, patient: str) -> SliceFiles:
    path = Path(f"{name}.png")
    return SliceFiles(name, patient, path, path, None, None)


def test_files_are_paired_by_stem_and_not_by_position(tmp_path: Path) -> None:
    # Sorted, the images are a.b.png, a.png, c.tif; the masks a.JPG, a.b.png, c.bmp.
    touch(tmp_path / "train" / "image", "a.png", "a.b.png", "c.tif")
    touch(tmp_path / "train" / "mask", "a.JPG", "a.b.png", "c.bmp")
    touch(tmp_path / "train" / "mask_", "c.png")
    touch(tmp_path / "train" / "lung", "a.b.jpeg", "without_image.png")
    image, mask = tmp_path / "train" / "image", tmp_path / "train" / "mask"
    edge, lung = tmp_path / "train" / "mask_" / "c.png", tmp_path / "train" / "lung" / "a.b.jpeg"
    assert find_slices(tmp_path, "train") == [
        SliceFiles("a", "a", image / "a.png", mask / "a.JPG", None, None),
        SliceFiles("a.b", "a.b", image / "a.b.png", mask / "a.b.png", None, lung),
        SliceFiles("c", "c", image / "c.tif", mask / "c.bmp", edge, None),
    ]


def test_each_split_is_its_own_folder(tmp_path: Path) -> None:
    make_split(tmp_path, "a", split="train")
    make_split(tmp_path, "b", "c", split="val")
    assert [entry.name for entry in find_slices(tmp_path, "train")] == ["a"]
    assert [entry.name for entry in find_slices(tmp_path, "val")] == ["b", "c"]


def test_an_image_without_a_mask_names_both_paths(tmp_path: Path) -> None:
    make_split(tmp_path, "a", "b")
    (tmp_path / "train/mask/b.png").unlink()
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path / 'train/image/b.png'}: ")
    assert str(tmp_path / "train/mask/b.") in message


def test_a_mask_without_an_image_names_both_paths(tmp_path: Path) -> None:
    make_split(tmp_path, "a", "b")
    (tmp_path / "train/image/b.png").unlink()
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path / 'train/mask/b.png'}: ")
    assert str(tmp_path / "train/image/b.") in message


def test_a_folder_without_masks_names_the_first_image(tmp_path: Path) -> None:
    touch(tmp_path / "train" / "image", "a.png")
    assert refusal(tmp_path).startswith(f"{tmp_path / 'train/image/a.png'}: its mask ")


@pytest.mark.parametrize("kind", ["image", "mask", "mask_", "lung"])
def test_two_files_with_one_stem_are_refused_with_both_paths(kind: str, tmp_path: Path) -> None:
    make_split(tmp_path, "a", "b")
    touch(tmp_path / "train" / kind, "a.png", "a.jpg")
    message = refusal(tmp_path)
    assert str(tmp_path / "train" / kind / "a.png") in message
    assert str(tmp_path / "train" / kind / "a.jpg") in message


def test_hidden_files_and_other_files_are_ignored(tmp_path: Path) -> None:
    make_split(tmp_path, "a")
    touch(tmp_path / "train" / "image", ".DS_Store", "._a.png", ".b.png", "Thumbs.db", "notes.txt")
    touch(tmp_path / "train" / "mask", "._a.png", "readme.md")
    assert [entry.name for entry in find_slices(tmp_path, "train")] == ["a"]


def test_a_missing_folder_tells_how_to_make_a_data_set(tmp_path: Path) -> None:
    message = refusal(tmp_path / "nowhere", "val")
    assert message.startswith("data.root: ")
    assert str(tmp_path / "nowhere" / "val" / "image") in message
    assert "python prepare.py synthetic --out data/synthetic" in message
    assert "--set data.root=" in message


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "train" / "image", "notes.txt")
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path / 'train/image'}: no images")
    assert ".png" in message


@pytest.mark.parametrize(
    ("stem", "patient"),
    [
        ("synthetic_0001_z012", "synthetic_0001"),
        ("p7-Z3", "p7"),
        ("p7_s012", "p7"),
        ("p7_slice012", "p7"),
        ("p7-slice-012", "p7"),
        ("p7_slice_012", "p7"),
        ("covid_12", "covid_12"),
        ("covid-12", "covid-12"),
        ("12", "12"),
        ("p7z012", "p7z012"),
        ("p7_z012_left", "p7_z012_left"),
        ("p7_z", "p7_z"),
        ("p7_z1_z2", "p7_z1"),
    ],
)
def test_the_patient_is_what_stands_before_a_slice_number(
    stem: str, patient: str, tmp_path: Path
) -> None:
    assert patients(make_split(tmp_path, stem)) == {stem: patient}


def test_the_manifest_gives_the_spacing(tmp_path: Path) -> None:
    make_split(tmp_path, "1", "2")
    (tmp_path / "manifest.csv").write_text("file,patient,spacing_mm\n1.png,Ann,0.7x0.8\n")
    assert [e.spacing for e in find_slices(tmp_path, "train")] == [(0.7, 0.8), None]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_manifest_says_who_is_who(encoding: str, tmp_path: Path) -> None:
    make_split(tmp_path, "1", "2", "b_z001")
    text = "file,split,patient\n1.png,train,Ann\ntrain/image/2.jpg,train,Ann\n"
    (tmp_path / "manifest.csv").write_text(text, encoding=encoding)
    assert patients(tmp_path) == {"1": "Ann", "2": "Ann", "b_z001": "b"}  # b is not listed


def test_a_manifest_of_other_images_is_refused(tmp_path: Path) -> None:
    make_split(tmp_path, "1", "2")
    (tmp_path / "manifest.csv").write_text("file,patient\nother.png,Ann\n")
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path / 'manifest.csv'}: names none of the 2 images of train")
    assert "'other.png'" in message
    assert "'1'" in message


@pytest.mark.parametrize("text", ["file,patient\n", "file,patient\n1.png,Ann\n"])
def test_a_manifest_that_knows_one_split_alone_is_refused_for_the_other(
    text: str, tmp_path: Path
) -> None:
    make_split(make_split(tmp_path, "1"), "2", split="val")
    (tmp_path / "manifest.csv").write_text(text)
    assert "names none of the 1 images of val" in refusal(tmp_path, "val")


def test_slices_without_a_row_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_split(tmp_path, "1", "b_z001")
    (tmp_path / "manifest.csv").write_text("file,patient\n1.png,Ann\n")
    assert patients(tmp_path) == {"1": "Ann", "b_z001": "b"}
    assert "no row for 1 of 2 images of train (b_z001)" in capsys.readouterr().err


def test_a_patient_of_a_windows_manifest_is_refused_in_two_splits(tmp_path: Path) -> None:
    make_split(make_split(tmp_path, "1"), "2", split="val")
    rows = "C:\\d\\train\\image\\1.png;Ann\r\nC:\\d\\val\\image\\2.png;Ann\r\n"
    (tmp_path / "manifest.csv").write_text(f"\ufeffFile; Patient\r\n{rows}")
    with pytest.raises(UserError, match="Ann in train and val"):
        check_patients({split: find_slices(tmp_path, split) for split in ("train", "val")})


def test_test_falls_back_to_val_only_where_there_is_no_test(tmp_path: Path) -> None:
    assert resolve_split(tmp_path, "test") == "test"
    (tmp_path / "val").mkdir()
    assert resolve_split(tmp_path, "test") == "val"
    assert resolve_split(tmp_path, "train") == "train"
    assert resolve_split(tmp_path, "val") == "val"
    (tmp_path / "test").mkdir()
    assert resolve_split(tmp_path, "test") == "test"


def test_patients_of_one_split_each_pass() -> None:
    check_patients({"train": [entry("a", "Ann"), entry("b", "Ann")], "val": [entry("c", "Bob")]})


def test_a_patient_in_two_splits_is_refused_with_name_and_splits() -> None:
    with pytest.raises(UserError) as caught:
        check_patients(
            {
                "train": [entry("a", "Ann"), entry("b", "Bob"), entry("e", "Eve")],
                "val": [entry("c", "Ann"), entry("d", "Cid")],
                "test": [entry("f", "Bob")],
            }
        )
    message = str(caught.value)
    assert "Ann in train and val" in message
    assert "Bob in test and train" in message
    assert "Eve" not in message
    assert "Cid" not in message
    assert "data.allow_patient_overlap=true" in message


def test_of_many_shared_patients_five_are_named_and_the_rest_counted() -> None:
    shared = [entry(f"s{number}", f"p{number}") for number in range(8)]
    with pytest.raises(UserError, match=r"one split: p0 .*p4 in train and val and 3 more"):
        check_patients({"train": shared, "val": shared})


def test_two_spellings_of_a_letter_are_one_name(tmp_path: Path) -> None:
    """File systems and archives give é as one letter (NFC) or as two (NFD)."""
    composed, apart = (unicodedata.normalize(form, "José_z001") for form in ("NFC", "NFD"))
    assert composed != apart
    touch(tmp_path / "train" / "image", f"{apart}.png")
    touch(tmp_path / "train" / "mask", f"{composed}.png")
    touch(tmp_path / "train" / "lung", f"{apart}.png")
    (tmp_path / "manifest.csv").write_text(f"file,patient\n{apart}.png,P7\n", encoding="utf-8")
    (found,) = find_slices(tmp_path, "train")
    assert (found.name, found.patient, found.lung.stem) == (composed, "P7", apart)


def test_a_quoted_cell_of_a_manifest_is_read_as_it_was(tmp_path: Path) -> None:
    make_split(tmp_path, "=a_z001")
    (tmp_path / "manifest.csv").write_text("file,patient\n'=a_z001.png,'=P\n", encoding="utf-8")
    assert patients(tmp_path) == {"=a_z001": "=P"}
