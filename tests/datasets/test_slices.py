"""Slices: what an item holds."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datasets.batches import SliceKey
from datasets.edges import edge_of_mask
from datasets.transforms import Augmentation
from tests.datasets.drawn_slices import EDGE, LUNG, MASK, grey, open_dataset, write, write_masks

KEYS = ["image", "mask", "edge", "lung", "has_lung", "is_padding", "name", "patient"]
AUGMENTATION = Augmentation(
    horizontal_flip=0.5, rotation=20, translation=0.1, scale=0.1, brightness=0.2, noise=0.1
)


def assert_equal(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert list(first) == list(second)
    for key, value in first.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, second[key]), key
        else:
            assert value == second[key], key


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
