"""Folders of a user's own: images paired by the names of folders and files."""

import re
from pathlib import Path

import numpy as np
import pytest
from generic_cases import cases_of, refusal, write_pair
from image_files import classes, grey, only, smooth, write, zip_folder

from datasets.intensity import LUNG_WINDOW, IntensityRule
from datasets.sources.file_tree import FileTree
from datasets.sources.generic import GenericOptions, generic_source


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/p7.png", "masks/p7.png"),
        ("IMG/p7.png", "GT/p7.tif"),
        ("imgs/p7.bmp", "labels/p7.png"),
        ("frames/p7.png", "seg/p7_mask.png"),
        ("ct_scans/p7.png", "infection_mask/mask_p7.png"),
        ("a/images/b/p7.png", "a/masks/b/p7.png"),
        ("images/images/p7.png", "masks/p7.png"),
        ("p7.png", "p7_mask.png"),
        ("p7.png", "mask_p7.png"),
        ("p7.png", "p7_seg.png"),
        ("p7.png", "p7_GT.png"),
        ("img_p7.png", "label_p7.png"),
        ("images/p7_image.png", "masks/p7_label.png"),
        ("x/p7.png", "x/masks/p7.png"),
    ],
)
def test_images_and_masks_are_told_by_folder_or_affix(
    image: str, mask: str, packed: bool, tmp_path: Path
) -> None:
    root = tmp_path / "set"
    write_pair(root, image, mask, 3)
    cases = cases_of(zip_folder(root) if packed else root)
    assert {name: case.patient for name, case in cases.items()} == {"p7": "p7"}
    item = only(cases["p7"])
    np.testing.assert_array_equal(item.image, grey(3))
    np.testing.assert_array_equal(item.label, classes(255, seed=3) // 255)
    assert item.lung is None
    assert not cases["p7"].is_volume


def test_slices_of_a_scan_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for seed, stem in enumerate(("p7_z10", "p7_z2", "p8_slice_1", "p9_S003", "12", "12_1")):
        write_pair(tmp_path, f"images/{stem}.png", f"masks/{stem}.png", seed)
    cases = cases_of(tmp_path)
    assert {name: (case.patient, case.is_volume) for name, case in cases.items()} == {
        "p7": ("p7", True),
        "p8": ("p8", True),
        "p9": ("p9", True),
        "12": ("12", False),
        "12_1": ("12_1", False),
    }
    slices = list(cases["p7"].read(8))
    assert [item.index for item in slices] == [2, 10]
    np.testing.assert_array_equal(slices[0].image, grey(1))


def test_splits_of_the_folder_are_kept(tmp_path: Path) -> None:
    write_pair(tmp_path, "Train/images/a_z1.png", "Train/masks/a_z1.png")
    write_pair(tmp_path, "images/test/b.png", "masks/test/b.png")
    write_pair(tmp_path, "ValidationSet/images/c.png", "ValidationSet/masks/c.png")
    splits = {name: case.split for name, case in cases_of(tmp_path).items()}
    assert splits == {"a": "train", "b": "test", "c": "val"}


def test_numbers_count_within_their_split_and_patients_across(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_pair(tmp_path, f"{split}/images/1.png", f"{split}/masks/1.png")
        write_pair(tmp_path, f"{split}/images/p_z1.png", f"{split}/masks/p_z1.png")
    cases = cases_of(tmp_path)
    assert {name: case.patient for name, case in cases.items()} == {
        "train_1": "train_1",
        "test_1": "test_1",
        "train_p": "p",  # in both: a leak, to be found as one
        "test_p": "p",
    }


@pytest.mark.parametrize("lung", ["lungs/p7.png", "p7_lung.png", "lung_mask/p7_lung.png"])
def test_lung_masks_are_used(lung: str, tmp_path: Path) -> None:
    write_pair(tmp_path, "images/p7.png", "masks/p7.png")
    write_pair(tmp_path, "images/p8.png", "masks/p8.png")
    if "/" not in lung:
        (tmp_path / "images/p8.png").rename(tmp_path / "p8.png")
        (tmp_path / "masks/p8.png").rename(tmp_path / "p8_mask.png")
        (tmp_path / "images/p7.png").rename(tmp_path / "p7.png")
        (tmp_path / "masks/p7.png").rename(tmp_path / "p7_mask.png")
    write(tmp_path / lung, classes(1, 2, seed=4))
    cases = cases_of(tmp_path)
    np.testing.assert_array_equal(only(cases["p7"]).lung, classes(1, 2, seed=4) > 0)
    assert only(cases["p8"]).lung is None


def test_a_lung_mask_of_nothing_is_named(tmp_path: Path) -> None:
    write_pair(tmp_path, "images/p7.png", "masks/p7.png")
    write(tmp_path / "lungs/p9.png", classes(1))
    assert "lungs/p9.png: no image for this lung mask" in refusal(tmp_path)


@pytest.mark.parametrize("white", [1, 255])
def test_masks_of_zero_and_one_or_255_are_known(white: int, tmp_path: Path) -> None:
    write(tmp_path / "images/a.png", grey())
    write(tmp_path / "masks/a.png", classes(white))
    np.testing.assert_array_equal(only(cases_of(tmp_path)["a"]).label, classes(1))


@pytest.mark.parametrize("values", [(1, 255), (2,), (128, 255), (38, 75)])
def test_other_mask_values_need_a_map(values: tuple[int, ...], tmp_path: Path) -> None:
    write(tmp_path / "images/a.png", grey())
    write(tmp_path / "masks/a.png", classes(*values))
    assert re.search(
        r"masks/a\.png: unexpected mask values \d+.*expected 0, 255", refusal(tmp_path)
    )
    options = GenericOptions(labels={value: n for n, value in enumerate(values, 1)})
    expected = classes(*range(1, len(values) + 1))
    np.testing.assert_array_equal(only(cases_of(tmp_path, options)["a"]).label, expected)


def test_values_outside_the_map_are_named(tmp_path: Path) -> None:
    write(tmp_path / "images/a.png", grey())
    write(tmp_path / "masks/a.png", classes(38, 75))
    message = refusal(tmp_path, GenericOptions(labels={38: 1}))
    assert message.endswith("masks/a.png: unexpected mask values 75; expected 0, 38")


def test_sixteen_bit_images_span_their_own_range(tmp_path: Path) -> None:
    write(tmp_path / "images/a.png", grey(2, np.uint16))
    write(tmp_path / "masks/a.png", classes(1))
    case = cases_of(tmp_path)["a"]
    np.testing.assert_array_equal(only(case, 16).image, grey(2, np.uint16))
    expected = np.floor(grey(2, np.uint16) / 257 + 0.5)
    assert np.abs(only(case, 8).image - expected).max() == 0


def test_a_rule_maps_the_values_of_images(tmp_path: Path) -> None:
    write(tmp_path / "images/a.png", grey(2, np.uint16))
    write(tmp_path / "masks/a.png", classes(1))
    rule = IntensityRule("arbitrary", 1000.0, 3000.0)
    item = only(cases_of(tmp_path, GenericOptions(rule=rule))["a"])
    np.testing.assert_array_equal(item.image, rule.apply(grey(2, np.uint16)))


def test_the_window_that_images_were_made_with_is_for_the_card_alone(tmp_path: Path) -> None:
    write_pair(tmp_path, "images/a.png", "masks/a.png")
    options = GenericOptions(rule=IntensityRule("HU", -1250.0, 250.0))
    np.testing.assert_array_equal(only(cases_of(tmp_path, options)["a"]).image, grey())
    assert generic_source(options).intensity == LUNG_WINDOW


def test_jpeg_masks_are_cut_above_128_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "images/a.jpg", smooth(1))
    write(tmp_path / "masks/a.jpg", classes(255))
    np.testing.assert_array_equal(only(cases_of(tmp_path)["a"]).label, classes(1))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("warning: ")
    assert "masks/a.jpg" in lines[0]


def test_jpeg_masks_of_classes_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "images/a.jpg", smooth(1))
    write(tmp_path / "masks/a.jpg", classes(255))
    message = refusal(tmp_path, GenericOptions(labels={100: 1, 255: 2}))
    assert "masks/a.jpg: a JPEG does not keep the values" in message


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_colours_are_refused(kind: str, tmp_path: Path) -> None:
    write_pair(tmp_path, "images/a.png", "masks/a.png")
    write(tmp_path / kind / "a.png", np.dstack([grey(1), grey(2), grey(3)]))
    assert f"{kind}/a.png: a coloured image" in refusal(tmp_path)


def test_masks_of_another_size_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "images/a.png", grey())
    write(tmp_path / "masks/a.png", classes(255)[:16])
    message = refusal(tmp_path)
    assert f"another size than {tmp_path / 'images/a.png'} (32 x 16 against 32 x 24 px)" in message


@pytest.mark.parametrize("extra", ["images/b.png", "masks/b.png"])
def test_a_file_without_partner_is_named(extra: str, tmp_path: Path) -> None:
    write_pair(tmp_path, "images/a.png", "masks/a.png")
    write(tmp_path / extra, grey())
    assert str(tmp_path / extra) in refusal(tmp_path)


@pytest.mark.parametrize("files", [["x.png"], ["images/a.png"], ["masks/a.png"], ["notes.txt"]])
def test_nothing_that_fits_is_listed(files: list[str], tmp_path: Path) -> None:
    for file in files:
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    message = refusal(tmp_path, num_lines=3)
    assert max(map(len, message.splitlines())) < 400
    assert message.startswith(f"--from {tmp_path}: no case found")
    assert files[0] in message
    assert "patterns" in message


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    assert "no file" in refusal(tmp_path, num_lines=3)


def test_the_card_of_images_knows_no_window(tmp_path: Path) -> None:
    write_pair(tmp_path, "images/a.png", "masks/a.png")
    assert generic_source(tree=FileTree(tmp_path)).intensity is None
    assert generic_source().facts.name == "generic"
