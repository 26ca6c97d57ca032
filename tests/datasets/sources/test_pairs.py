"""Pairing by what files are called: every affix, no order, every lonely file listed."""

import random
import re
from pathlib import Path, PurePosixPath

import pytest

from datasets.sources.file_tree import FileTree, FoundFile
from datasets.sources.pairs import files_by_key, match, nothing_found, pair_by_stem, strip_affixes
from utils.errors import UserError


def found(*places: str) -> list[FoundFile]:
    return [FoundFile(Path("/data") / place, None, PurePosixPath(place)) for place in places]


def names(pairs: list[tuple[FoundFile, FoundFile]]) -> list[tuple[str, str]]:
    return [(image.name, mask.name) for image, mask in pairs]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a.nii.gz", "a.nii.gz"),
        ("a.nii.gz", "a.nii"),
        ("a.png", "mask_a.png"),
        ("a.jpg", "a_mask.png"),
        ("a.png", "a-mask.png"),
        ("a.nii.gz", "a_seg.nii.gz"),
        ("a_ct.nii.gz", "a_seg.nii.gz"),
        ("a.png", "a_GT.png"),
        ("a_img.png", "a_label.png"),
        ("image_a.png", "label_a.png"),
        ("study_0255.nii.gz", "study_0255_mask.nii.gz"),
    ],
)
def test_an_affix_on_either_side_makes_a_pair(image: str, mask: str) -> None:
    assert names(pair_by_stem(found(f"im/{image}"), found(f"ms/{mask}"))) == [(image, mask)]


def test_pairs_do_not_depend_on_the_order_of_files() -> None:
    images = [f"case{number}.png" for number in (1, 2, 10, 11)]
    masks = [f"mask_case{number}.png" for number in (1, 2, 10, 11)]
    shuffled = list(masks)
    random.Random(3).shuffle(shuffled)
    pairs = names(pair_by_stem(found(*images), found(*shuffled)))
    assert sorted(pairs) == sorted(zip(images, masks, strict=True))


def test_equal_stems_win_over_equal_stems_without_affixes() -> None:
    pairs = pair_by_stem(found("im/a.png", "im/a_ct.png"), found("ms/a.png", "ms/a_ct.png"))
    assert names(pairs) == [("a.png", "a.png"), ("a_ct.png", "a_ct.png")]


def test_only_the_affixes_that_are_named_are_taken_off() -> None:
    with pytest.raises(UserError, match=r"no mask for /data/a_ct\.png; no image for /data/a_seg"):
        pair_by_stem(found("a_ct.png"), found("a_seg.png"), affixes=("_mask",))


def test_a_stem_that_is_an_affix_stays() -> None:
    assert strip_affixes("mask_") == "mask_"
    assert strip_affixes("mask_mask_7") == "mask_7"


def test_every_lonely_file_is_listed_up_to_five() -> None:
    images = found(*(f"im/{letter}.png" for letter in "abcdefgh"))
    with pytest.raises(UserError) as caught:
        pair_by_stem(images, found("ms/a_mask.png", "ms/z_mask.png"))
    assert str(caught.value) == (
        "no mask for /data/im/b.png, /data/im/c.png, /data/im/d.png, /data/im/e.png, "
        "/data/im/f.png and 2 more; no image for /data/ms/z_mask.png: "
        "add the missing files, or remove these"
    )


def test_two_files_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match=r"/data/p2/a\.png: /data/p1/a\.png is the same case, a;"):
        pair_by_stem(found("p1/a.png", "p2/a.png"), found("m/a.png"))


def test_two_masks_of_one_image_are_refused() -> None:
    with pytest.raises(UserError, match=r"m/mask_a\.png: /data/m/a_seg\.png is the same case, a;"):
        pair_by_stem(found("a.png"), found("m/a_seg.png", "m/mask_a.png"))


def test_files_without_a_key_are_left_out() -> None:
    files = found("a.png", "readme.png")
    kept = files_by_key(files, lambda file: None if file.stem == "readme" else file.stem)
    assert list(kept) == ["a"]


def test_a_lung_mask_without_an_image_is_refused() -> None:
    image, mask, lung = found("im/1.nii", "ms/1.nii", "lung/2.nii")
    with pytest.raises(UserError, match=r"^no image for /data/lung/2\.nii: add"):
        match({"1": image}, {"1": mask}, {"2": lung})


def test_an_empty_folder_is_told_with_what_is_there_and_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    message = str(nothing_found(FileTree(tmp_path), ("this", "that")))
    expected = f"--from {tmp_path}: no case found, but notes.txt; expected this; that"
    assert re.fullmatch(re.escape(expected), message)
