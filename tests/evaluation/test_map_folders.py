"""Folders of maps and masks as cases: pairs, sizes, values, and what is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from evaluation.map_folders import FolderCases, find_map_pairs
from utils.errors import UserError

LEVELS = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
MASK = np.zeros((6, 8), np.uint8)
MASK[2:4, 3:6] = 255


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Maps and masks of three cases, the third without lesion."""
    maps, masks = tmp_path / "maps", tmp_path / "masks"
    for folder in (maps, masks):
        folder.mkdir()
    for name, mask in (("p1_z001", MASK), ("p1_z002", MASK), ("p2_z001", 0 * MASK)):
        cv2.imwrite(str(maps / f"{name}.png"), LEVELS)
        cv2.imwrite(str(masks / f"{name}.png"), mask)
    return maps, masks


def refusal(maps: Path, masks: Path, resize: bool = False) -> str:
    with pytest.raises(UserError) as caught:
        list(FolderCases(find_map_pairs(maps, masks), resize=resize).cases())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_maps_and_masks_are_paired_by_stem(folders: tuple[Path, Path]) -> None:
    maps, masks = folders
    (masks / "p1_z001.png").rename(masks / "p1_z001.bmp")  # the suffix is no part of the pair
    source = FolderCases(find_map_pairs(maps, masks), resize=False)
    cases = list(source.cases())
    assert len(source) == 3
    assert [case.name for case in cases] == ["p1_z001", "p1_z002", "p2_z001"]
    assert [case.patient for case in cases] == ["p1", "p1", "p2"]
    assert [int(case.target.sum()) for case in cases] == [6, 6, 0]
    assert (cases[0].prob * 255 == LEVELS).all()
    assert cases[0].spacing is None


def test_some_cases_can_be_had_again(folders: tuple[Path, Path]) -> None:
    source = FolderCases(find_map_pairs(*folders), resize=False)
    assert [case.name for case in source.cases([2, 0])] == ["p2_z001", "p1_z001"]


def test_a_map_of_another_size_is_resized_to_the_mask_on_request(
    folders: tuple[Path, Path],
) -> None:
    maps, masks = folders
    ramp = np.tile(np.linspace(0, 240, 16).astype(np.uint8), (12, 1))
    cv2.imwrite(str(maps / "p1_z001.png"), ramp)
    case = next(FolderCases(find_map_pairs(maps, masks), resize=True).cases())
    levels = case.prob * 255
    assert levels.shape == MASK.shape
    assert (levels == np.rint(levels)).all()  # rounded to levels, as the file would be
    pairs = ramp.reshape(6, 2, 8, 2).mean(axis=(1, 3))
    assert np.abs(levels - pairs)[:, 1:-1].max() <= 1  # a ramp stays one
    message = refusal(maps, masks)
    assert "p1_z001.png: 12 x 16 px, but its mask has 6 x 8 px" in message


def test_all_files_without_a_pair_are_listed(folders: tuple[Path, Path]) -> None:
    maps, masks = folders
    (maps / "p1_z001.png").unlink()
    cv2.imwrite(str(maps / "extra.png"), LEVELS)
    message = refusal(maps, masks)
    assert "files without a pair: extra (no mask), p1_z001 (no map)" in message
    for number in range(6):
        cv2.imwrite(str(maps / f"more{number}.png"), LEVELS)
    assert "and 3 more" in refusal(maps, masks)


def test_a_map_with_values_over_255_is_refused(folders: tuple[Path, Path]) -> None:
    cv2.imwrite(str(folders[0] / "p1_z002.png"), LEVELS.astype(np.uint16) * 200)
    assert "p1_z002.png: values up to 47000; store probabilities as 0 to 255" in refusal(*folders)


@pytest.mark.parametrize("values", [(38, 75), (1, 255), (0, 200)])
def test_a_mask_that_is_not_binary_is_refused(
    values: tuple[int, int], folders: tuple[Path, Path]
) -> None:
    mask = MASK.copy()
    mask[0, :2] = values
    cv2.imwrite(str(folders[1] / "p1_z002.png"), mask)
    message = refusal(*folders)
    assert "p1_z00" in message
    assert "unexpected mask values" in message


def test_lesion_values_can_be_named(folders: tuple[Path, Path]) -> None:
    maps, masks = folders
    for path in masks.iterdir():
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) // 255 * 38
        cv2.imwrite(str(path), mask)
    pairs = find_map_pairs(maps, masks, lesion_values=[38, 75])
    assert int(next(FolderCases(pairs, resize=False).cases()).target.sum()) == 6


def test_empty_and_missing_folders_are_refused(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert refusal(empty, empty).startswith(f"--maps {empty}: no images")
    assert refusal(tmp_path / "no", folders[1]) == f"--maps {tmp_path / 'no'}: no such folder"
    assert refusal(folders[0], tmp_path / "no") == f"--masks {tmp_path / 'no'}: no such folder"


def test_a_damaged_or_coloured_map_is_refused(folders: tuple[Path, Path]) -> None:
    path = folders[0] / "p2_z001.png"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "p2_z001.png: a truncated or damaged PNG" in refusal(*folders)
    cv2.imwrite(str(path), np.dstack([LEVELS, LEVELS, 0 * LEVELS]))
    assert "p2_z001.png: a coloured image" in refusal(*folders)


@pytest.mark.parametrize("first_is_blank", [False, True])
def test_maps_of_0_and_1_are_read_as_such_with_a_note(
    first_is_blank: bool, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    maps, masks = folders
    for number, path in enumerate(sorted(maps.iterdir())):
        blank = first_is_blank and number == 0
        cv2.imwrite(str(path), 0 * MASK if blank else MASK // 255)
    cases = list(FolderCases(find_map_pairs(maps, masks), resize=False).cases())
    note = capsys.readouterr()
    assert note.out == (
        f"note: --maps {maps}: all maps hold 0 and 1 alone; 1 is read as probability 1\n"
    )
    assert note.err == ""
    np.testing.assert_array_equal(cases[1].prob, MASK / 255)
    assert cases[0].prob.max() == (0 if first_is_blank else 1)


def test_one_map_with_another_level_makes_255_the_highest(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    maps, masks = folders
    for path in sorted(maps.iterdir())[:2]:
        cv2.imwrite(str(path), MASK // 255)
    cases = list(FolderCases(find_map_pairs(maps, masks), resize=False).cases())
    assert cases[0].prob.max() == 1 / 255
    assert capsys.readouterr() == ("", "")


def test_maps_of_classes_are_warned_of(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    maps, masks = folders
    for path in maps.iterdir():
        cv2.imwrite(str(path), MASK // 255 * 2)
    find_map_pairs(maps, masks)
    assert "no map has a level above 2" in capsys.readouterr().err


def test_blank_maps_need_no_note(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    maps, masks = folders
    for path in maps.iterdir():
        cv2.imwrite(str(path), 0 * MASK)
    assert find_map_pairs(maps, masks).map_top == 255
    assert capsys.readouterr() == ("", "")
