"""Slices: how masks are recognised, what is refused, and what an item holds."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from datasets.edges import edge_of_mask
from datasets.loader import SliceKey
from datasets.pairing import find_slices
from datasets.scan import scan_slices
from datasets.slices import SliceDataset
from datasets.transforms import Augmentation, SliceTransform
from utils.errors import UserError

SHAPE = (48, 40)
KEYS = ["image", "mask", "edge", "lung", "has_lung", "is_padding", "name", "patient"]
AUGMENTATION = Augmentation(
    horizontal_flip=0.5, rotation=20, translation=0.1, scale=0.1, brightness=0.2, noise=0.1
)


def box(top: int, left: int, side: int = 12, value: int = 1) -> np.ndarray:
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[top : top + side, left : left + side] = value
    return pixels


MASK, LUNG, EDGE = box(6, 4), box(4, 2, side=20), box(30, 20, side=5)


def grey(top: int = 255) -> np.ndarray:
    """Noise, brighter on the lesion, of 8 or 16 bits."""
    noise = np.random.default_rng(3).uniform(0, 0.4, SHAPE)
    return ((noise + 0.5 * MASK) * top).astype(np.uint8 if top < 256 else np.uint16)


def write(root: Path, name: str, **images: np.ndarray) -> Path:
    """Write one training slice: image=, mask=, mask_=, lung=."""
    for kind, pixels in images.items():
        path = root / "train" / kind / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), pixels)
    return root


def write_masks(root: Path, *masks: np.ndarray) -> Path:
    """Write slices a, b, ... with the given masks."""
    for name, mask in zip("abcdefgh", masks, strict=False):
        write(root, name, image=grey(), mask=mask)
    return root


def scan(root: Path, lesion_values: list[int] | None = None) -> Any:
    return scan_slices(find_slices(root, "train"), lesion_values)


def refusal(root: Path, lesion_values: list[int] | None = None) -> str:
    with pytest.raises(UserError) as caught:
        scan(root, lesion_values)
    return str(caught.value)


def open_dataset(
    root: Path,
    image_size: tuple[int, int] = SHAPE,
    augmentation: Augmentation | None = None,
    lesion_values: list[int] | None = None,
    edge_width: int = 2,
) -> SliceDataset:
    slices = find_slices(root, "train")
    encoding = scan_slices(slices, lesion_values).encoding
    return SliceDataset(slices, encoding, SliceTransform(image_size, augmentation), edge_width)


def assert_equal(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert list(first) == list(second)
    for key, value in first.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, second[key]), key
        else:
            assert value == second[key], key


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


@pytest.mark.parametrize("has_lung", [True, False])
@pytest.mark.parametrize("has_edge", [True, False])
@pytest.mark.parametrize("augmentation", [None, AUGMENTATION], ids=["plain", "augmented"])
def test_an_item_has_the_same_form_whatever_files_there_are(
    has_lung: bool, has_edge: bool, augmentation: Augmentation | None, tmp_path: Path
) -> None:
    write(tmp_path, "p1_z007", image=grey(), mask=255 * MASK)
    if has_lung:
        write(tmp_path, "p1_z007", lung=255 * LUNG)
    if has_edge:
        write(tmp_path, "p1_z007", mask_=255 * EDGE)
    dataset = open_dataset(tmp_path, (32, 64), augmentation)
    assert len(dataset) == 1
    item = dataset[SliceKey(0, 11)]
    assert list(item) == KEYS
    for key in ("image", "mask", "edge", "lung"):
        assert (item[key].shape, item[key].dtype) == ((1, 32, 64), torch.float32)
    assert item["mask"].unique().tolist() == [0, 1]
    assert item["edge"].unique().tolist() == [0, 1]
    assert item["lung"].unique().tolist() == ([0, 1] if has_lung else [0])
    assert item["has_lung"] is has_lung
    assert item["is_padding"] is False
    assert dataset[SliceKey(0, 11, is_padding=True)]["is_padding"] is True
    assert (item["name"], item["patient"]) == ("p1_z007", "p1")
    if augmentation is None:
        assert item["image"].mean().item() == pytest.approx(0, abs=1e-5)
        assert item["image"].std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_an_empty_mask_has_no_edge(tmp_path: Path) -> None:
    item = open_dataset(write_masks(tmp_path, 0 * MASK))[0]
    assert not item["mask"].any()
    assert not item["edge"].any()


def test_masks_of_a_plain_item_are_the_files(tmp_path: Path) -> None:
    write(tmp_path, "a", image=grey(), mask=MASK, mask_=7 * EDGE, lung=255 * LUNG)
    item = open_dataset(tmp_path)[0]
    for key, pixels in {"mask": MASK, "edge": EDGE, "lung": LUNG}.items():
        np.testing.assert_array_equal(item[key][0].numpy(), pixels)
    expected = (grey() - grey().mean()) / grey().std()
    np.testing.assert_allclose(item["image"][0].numpy(), expected, atol=1e-4)


def test_an_edge_file_moves_with_the_slice(tmp_path: Path) -> None:
    write(tmp_path, "a", image=grey(), mask=MASK, mask_=255 * EDGE, lung=LUNG)
    item = open_dataset(tmp_path, augmentation=Augmentation(horizontal_flip=1))[0]
    for key, pixels in {"mask": MASK, "edge": EDGE, "lung": LUNG}.items():
        np.testing.assert_array_equal(item[key][0].numpy(), pixels[:, ::-1])


@pytest.mark.parametrize("edge_width", [1, 2, 3])
def test_an_edge_is_derived_after_the_transform(edge_width: int, tmp_path: Path) -> None:
    write_masks(tmp_path, MASK)
    augmentation = Augmentation(rotation=30, scale=0.2)
    dataset = open_dataset(tmp_path, (96, 64), augmentation, edge_width=edge_width)
    for seed in range(4):
        item = dataset[SliceKey(0, seed)]
        mask = item["mask"][0].to(torch.uint8)
        assert torch.equal(item["edge"][0], edge_of_mask(mask, edge_width).float())


@pytest.mark.parametrize("shift", [0, 8])
def test_16_bit_images_keep_their_grey_levels(shift: int, tmp_path: Path) -> None:
    pixels = grey(top=65535) >> shift  # stored in 16 bits, if only 8 are used
    assert pixels.dtype == np.uint16
    write(tmp_path, "a", image=pixels, mask=MASK)
    item = open_dataset(tmp_path)[0]
    expected = (pixels - pixels.mean()) / pixels.std()
    np.testing.assert_allclose(item["image"][0].numpy(), expected, atol=1e-4)


def test_one_seed_gives_one_item_and_another_seed_another(tmp_path: Path) -> None:
    dataset = open_dataset(write_masks(tmp_path, MASK, EDGE), augmentation=AUGMENTATION)
    first = dataset[SliceKey(0, 5)]
    torch.manual_seed(99)  # what came before does not matter
    dataset[SliceKey(1, 6)]
    assert_equal(dataset[SliceKey(0, 5)], first)
    other = dataset[SliceKey(0, 6)]
    assert not torch.equal(other["image"], first["image"])
    assert not torch.equal(other["mask"], first["mask"])


def test_a_seeded_item_leaves_every_global_generator_alone(tmp_path: Path) -> None:
    dataset = open_dataset(write_masks(tmp_path, MASK), augmentation=AUGMENTATION)
    torch.manual_seed(1)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    dataset[SliceKey(0, 5)]
    assert torch.equal(states[0], torch.get_rng_state())
    np.testing.assert_array_equal(states[1], np.random.get_state()[1])
    assert states[2] == random.getstate()


@pytest.mark.gpu
def test_a_seeded_item_leaves_the_gpus_generator_alone(tmp_path: Path) -> None:
    dataset = open_dataset(write_masks(tmp_path, MASK), augmentation=AUGMENTATION)
    torch.cuda.manual_seed(1)
    state = torch.cuda.get_rng_state()
    dataset[SliceKey(0, 5)]
    assert torch.equal(state, torch.cuda.get_rng_state())


def test_without_augmentation_the_seed_does_not_matter(tmp_path: Path) -> None:
    dataset = open_dataset(write_masks(tmp_path, MASK), image_size=(32, 32))
    assert_equal(dataset[0], dataset[SliceKey(0, 5)])
    assert_equal(dataset[SliceKey(0, 5)], dataset[SliceKey(0, 6)])
