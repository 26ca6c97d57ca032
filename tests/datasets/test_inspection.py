"""How masks are recognised, and what a look at every file refuses."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets.inspection import inspect_slices
from datasets.pairing import find_slices
from tests.datasets.drawn_slices import (
    EDGE,
    LUNG,
    MASK,
    SHAPE,
    box,
    grey,
    open_dataset,
    write,
    write_masks,
)
from utils.errors import UserError


def scan(root: Path, lesion_values: list[int] | None = None) -> Any:
    return inspect_slices(find_slices(root, "train"), lesion_values)


def refusal(root: Path, lesion_values: list[int] | None = None) -> str:
    with pytest.raises(UserError) as caught:
        scan(root, lesion_values)
    return str(caught.value)


@pytest.mark.parametrize(
    ("masks", "lesion_values", "lesion"),
    [
        ([MASK, 0 * MASK], None, (1,)),
        ([0 * MASK, 255 * MASK], None, (255,)),
        ([0 * MASK, 0 * MASK], None, None),
        ([38 * MASK, 75 * MASK + 38 * EDGE], [38, 75], (38, 75)),
        ([38 * MASK, 0 * MASK], [38, 75], (38, 75)),
    ],
    ids=["0/1", "0/255", "all empty", "38 and 75", "38 alone"],
)
def test_the_encoding_of_masks_is_recognised(
    masks: list[np.ndarray],
    lesion_values: list[int] | None,
    lesion: tuple[int, ...] | None,
    tmp_path: Path,
) -> None:
    found = scan(write_masks(tmp_path, *masks), lesion_values)
    if lesion is not None:  # where no mask has lesion, nothing can tell
        assert found.encoding.lesion_values == lesion
    assert found.has_lesion == tuple(bool(mask.any()) for mask in masks)
    assert found.sizes == Counter({SHAPE: 2})
    dataset = open_dataset(tmp_path, lesion_values=lesion_values)
    for item, mask in zip((dataset[0], dataset[1]), masks, strict=True):
        np.testing.assert_array_equal(item["mask"][0].numpy(), mask > 0)


def test_a_value_left_out_of_lesion_values_may_not_stand_in_a_mask(tmp_path: Path) -> None:
    write_masks(tmp_path, 38 * MASK, 38 * MASK + 75 * EDGE + 113 * box(0, 30, side=3))
    message = refusal(tmp_path, [38, 75])
    assert message.startswith(f"{tmp_path / 'train/mask/b.png'}: unexpected mask values 113; ")
    assert "data.lesion_values" in message
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path / 'train/mask/a.png'}: unexpected mask values 38, 75, ")


def test_unexpected_values_are_listed_with_the_file_that_has_them(tmp_path: Path) -> None:
    write_masks(tmp_path, 255 * MASK, 255 * MASK + 7 * EDGE, 0 * MASK)
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path / 'train/mask/b.png'}: unexpected mask values 7; ")
    assert "0/1 or 0/255" in message


def test_0_1_beside_0_255_is_refused_rather_than_guessed(tmp_path: Path) -> None:
    message = refusal(write_masks(tmp_path, 255 * MASK, MASK))
    assert message.startswith(f"{tmp_path / 'train/mask/b.png'}: unexpected mask values 1; ")


def test_a_grey_ramp_for_a_mask_lists_eight_values_and_counts_the_rest(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(SHAPE[1], dtype=np.uint8), (SHAPE[0], 1))  # 0 to 39
    message = refusal(write_masks(tmp_path, ramp))
    assert "unexpected mask values 1, 2, 3, 4, 5, 6, 7, 8 and 31 more" in message


@pytest.mark.parametrize("kind", ["mask", "mask_", "lung"])
def test_a_size_mismatch_names_both_files_and_sizes(kind: str, tmp_path: Path) -> None:
    write(tmp_path, "a", image=grey(), mask=MASK)
    write(tmp_path, "a", **{kind: MASK[:-1]})
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path / 'train' / kind / 'a.png'}: 47 x 40 px")
    assert f"{tmp_path / 'train/image/a.png'} has 48 x 40 px" in message


@pytest.mark.parametrize("kind", ["image", "mask", "mask_", "lung"])
def test_a_damaged_file_stops_the_scan_by_name(kind: str, tmp_path: Path) -> None:
    write(tmp_path, "a", image=grey(), mask=MASK, mask_=EDGE, lung=LUNG)
    path = tmp_path / "train" / kind / "a.png"
    path.write_bytes(path.read_bytes()[:-20])
    assert refusal(tmp_path).startswith(f"{path}: ")


def test_slices_of_several_sizes_are_counted(tmp_path: Path) -> None:
    write_masks(tmp_path, MASK, MASK)
    write(tmp_path, "c", image=grey()[:32, :32], mask=MASK[:32, :32])
    assert scan(tmp_path).sizes == Counter({SHAPE: 2, (32, 32): 1})
    dataset = open_dataset(tmp_path, image_size=(32, 48))
    assert {tuple(dataset[index]["image"].shape) for index in range(3)} == {(1, 32, 48)}
