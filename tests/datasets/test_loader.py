"""Batches depend on seed and epoch alone, whoever loads them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from datasets.loader import SeededSampler, _start_worker, create_loader
from datasets.pairing import find_slices
from datasets.slices import SliceDataset, scan_slices
from datasets.transforms import Augmentation, SliceTransform

AUGMENTATION = Augmentation(
    horizontal_flip=0.5, rotation=20, translation=0.1, scale=0.1, brightness=0.2, noise=0.1
)


@pytest.fixture
def dataset(data_root: Path) -> SliceDataset:
    """Eight training slices, augmented."""
    slices = find_slices(data_root, "train")
    transform = SliceTransform((32, 48), AUGMENTATION)
    return SliceDataset(slices, scan_slices(slices).encoding, transform, edge_width=2)


def load_epochs(loader: DataLoader, sampler: SeededSampler, *epochs: int) -> list[dict[str, Any]]:
    """All batches of the epochs, one after the other from one loader."""
    batches = []
    for epoch in epochs:
        sampler.set_epoch(epoch)
        batches += list(loader)
    return batches


def assert_equal(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for key, value in one.items():
            same = torch.equal(value, other[key]) if torch.is_tensor(value) else value == other[key]
            assert same, key


def order(num_slices: int, seed: int, epoch: int) -> list[tuple[int, int]]:
    sampler = SeededSampler(num_slices, seed)
    sampler.set_epoch(epoch)
    return list(sampler)


@pytest.mark.parametrize("num_slices", [1, 2, 50])
def test_an_epoch_is_a_permutation_of_the_slices(num_slices: int) -> None:
    indices = [index for index, _ in order(num_slices, seed=2, epoch=3)]
    assert sorted(indices) == list(range(num_slices))
    assert len(SeededSampler(num_slices, 2)) == num_slices


def test_order_and_seeds_depend_on_seed_and_epoch_alone() -> None:
    torch.manual_seed(0)
    first = order(50, seed=2, epoch=3)
    torch.manual_seed(1)
    sampler = SeededSampler(50, seed=2)
    for epoch in (7, 3):  # what was iterated before does not matter
        sampler.set_epoch(epoch)
        again = list(sampler)
    assert again == first
    assert list(sampler) == first


@pytest.mark.parametrize(("seed", "epoch"), [(2, 4), (3, 3), (3, 2)])
def test_another_seed_or_epoch_gives_another_order_and_other_seeds(seed: int, epoch: int) -> None:
    first, other = order(50, seed=2, epoch=3), order(50, seed=seed, epoch=epoch)
    assert [index for index, _ in first] != [index for index, _ in other]
    assert {seed for _, seed in first}.isdisjoint(seed for _, seed in other)


def test_no_two_slices_of_an_epoch_share_an_augmentation() -> None:
    # torch's CPU generator uses the low 32 bits of a seed
    assert len({seed % 2**32 for _, seed in order(200, seed=2, epoch=0)}) == 200


def test_a_slices_augmentation_changes_between_epochs() -> None:
    first, second = dict(order(50, seed=2, epoch=0)), dict(order(50, seed=2, epoch=1))
    assert all(first[index] != second[index] for index in range(50))


def test_the_sampler_leaves_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    order(50, seed=2, epoch=3)
    assert torch.equal(state, torch.get_rng_state())


def test_a_batch_has_the_form_of_the_contract(dataset: SliceDataset) -> None:
    loader = create_loader(dataset, batch_size=3, num_workers=0)
    batches = list(loader)
    assert [len(batch["name"]) for batch in batches] == [3, 3, 2]  # 8 slices
    names = [name for batch in batches for name in batch["name"]]
    assert names == [entry.name for entry in dataset.slices]  # without a sampler, in order
    for batch in batches:
        count = len(batch["name"])
        for key in ("image", "mask", "edge", "lung"):
            assert batch[key].shape == (count, 1, 32, 48)
            assert batch[key].dtype == torch.float32
        assert (batch["has_lung"].shape, batch["has_lung"].dtype) == ((count,), torch.bool)
        for key in ("name", "patient"):
            assert type(batch[key]) is list
            assert {type(value) for value in batch[key]} == {str}


def test_a_sampled_epoch_holds_every_slice_once(dataset: SliceDataset) -> None:
    sampler = SeededSampler(len(dataset), seed=2)
    loader = create_loader(dataset, batch_size=3, num_workers=0, sampler=sampler)
    names = [name for batch in load_epochs(loader, sampler, 1) for name in batch["name"]]
    assert sorted(names) == sorted(entry.name for entry in dataset.slices)
    assert names == [dataset.slices[index].name for index, _ in order(8, seed=2, epoch=1)]


def test_batches_do_not_depend_on_the_number_of_workers(dataset: SliceDataset) -> None:
    loaded = []
    for num_workers in (0, 2):
        sampler = SeededSampler(len(dataset), seed=2)
        loader = create_loader(dataset, batch_size=3, num_workers=num_workers, sampler=sampler)
        loaded.append(load_epochs(loader, sampler, 0, 1))
        del loader
    assert_equal(*loaded)
    first, second = loaded[0][:3], loaded[0][3:]
    images = [torch.cat([batch["image"] for batch in batches]) for batches in (first, second)]
    assert not torch.equal(*images)


def test_an_epoch_does_not_depend_on_those_before_it(dataset: SliceDataset) -> None:
    sampler = SeededSampler(len(dataset), seed=2)
    loader = create_loader(dataset, batch_size=3, num_workers=0, sampler=sampler)
    straight = load_epochs(loader, sampler, 0, 1, 2)[-3:]
    resumed = load_epochs(loader, sampler, 2)
    assert_equal(straight, resumed)


def test_a_spawned_worker_loads_the_same_batches(dataset: SliceDataset) -> None:
    # Spawn pickles the data set and the worker's start, as on macOS and Windows.
    sampler = SeededSampler(len(dataset), seed=2)
    spawned = DataLoader(
        dataset,
        batch_size=4,
        sampler=sampler,
        num_workers=1,
        worker_init_fn=_start_worker,
        multiprocessing_context="spawn",
    )
    plain = create_loader(dataset, batch_size=4, num_workers=0, sampler=sampler)
    assert_equal(load_epochs(spawned, sampler, 1), load_epochs(plain, sampler, 1))
