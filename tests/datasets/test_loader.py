"""Batches depend on seed and epoch alone, whoever loads them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from datasets.batches import OrderedBatches, SeededBatches, _start_worker, create_loader
from datasets.inspection import inspect_slices
from datasets.pairing import find_slices
from datasets.slices import SliceDataset
from datasets.transforms import Augmentation, SliceTransform

AUGMENTATION = Augmentation(
    horizontal_flip=0.5, rotation=20, translation=0.1, scale=0.1, brightness=0.2, noise=0.1
)


@pytest.fixture
def dataset(data_root: Path) -> SliceDataset:
    """Eight training slices, augmented."""
    slices = find_slices(data_root, "train")
    transform = SliceTransform((32, 48), AUGMENTATION)
    return SliceDataset(slices, inspect_slices(slices).encoding, transform, edge_width=2)


def load_epochs(loader: DataLoader, order: SeededBatches, *epochs: int) -> list[dict[str, Any]]:
    """All batches of the epochs, one after the other from one loader."""
    batches = []
    for epoch in epochs:
        order.set_epoch(epoch)
        batches += list(loader)
    return batches


def assert_equal(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for key, value in one.items():
            same = torch.equal(value, other[key]) if torch.is_tensor(value) else value == other[key]
            assert same, key


def test_a_batch_has_the_form_of_the_contract(dataset: SliceDataset) -> None:
    batches = list(create_loader(dataset, OrderedBatches(8, 3), num_workers=0))
    assert [len(batch["name"]) for batch in batches] == [3, 3, 2]  # 8 slices
    names = [name for batch in batches for name in batch["name"]]
    assert names == [entry.name for entry in dataset.slices]  # in order
    for batch in batches:
        count = len(batch["name"])
        for key in ("image", "mask", "edge", "lung"):
            assert batch[key].shape == (count, 1, 32, 48)
            assert batch[key].dtype == torch.float32
        for key in ("has_lung", "is_padding"):
            assert (batch[key].shape, batch[key].dtype) == ((count,), torch.bool)
        assert not batch["is_padding"].any()
        for key in ("name", "patient"):
            assert type(batch[key]) is list
            assert {type(value) for value in batch[key]} == {str}


def test_an_epoch_of_training_holds_every_slice_once(dataset: SliceDataset) -> None:
    batches = SeededBatches(len(dataset), 3, seed=2)
    loader = create_loader(dataset, batches, num_workers=0)
    names = [name for batch in load_epochs(loader, batches, 1) for name in batch["name"]]
    assert sorted(names) == sorted(entry.name for entry in dataset.slices)
    assert names == [dataset.slices[key.index].name for batch in batches for key in batch]


def test_batches_do_not_depend_on_the_number_of_workers(dataset: SliceDataset) -> None:
    loaded = []
    for num_workers in (0, 2):
        batches = SeededBatches(len(dataset), 3, seed=2)
        loader = create_loader(dataset, batches, num_workers=num_workers)
        loaded.append(load_epochs(loader, batches, 0, 1))
        del loader
    assert_equal(*loaded)
    first, second = loaded[0][:3], loaded[0][3:]
    images = [torch.cat([batch["image"] for batch in batches]) for batches in (first, second)]
    assert not torch.equal(*images)


def test_an_epoch_does_not_depend_on_those_before_it(dataset: SliceDataset) -> None:
    batches = SeededBatches(len(dataset), 3, seed=2)
    loader = create_loader(dataset, batches, num_workers=0)
    straight = load_epochs(loader, batches, 0, 1, 2)[-3:]
    resumed = load_epochs(loader, batches, 2)
    assert_equal(straight, resumed)


@pytest.mark.slow
def test_a_spawned_worker_loads_the_same_batches(dataset: SliceDataset) -> None:
    # Spawn pickles the data set and the worker's start, as on macOS and Windows.
    batches = SeededBatches(len(dataset), 4, seed=2)
    spawned = DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=1,
        worker_init_fn=_start_worker,
        multiprocessing_context="spawn",
    )
    plain = create_loader(dataset, batches, num_workers=0)
    assert_equal(load_epochs(spawned, batches, 1), load_epochs(plain, batches, 1))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_epoch_goes_on_from_a_step_with_the_same_batches(
    num_workers: int, dataset: SliceDataset
) -> None:
    batches = SeededBatches(len(dataset), 3, seed=2)
    loader = create_loader(dataset, batches, num_workers=num_workers)
    whole = load_epochs(loader, batches, 5)
    for first_step in range(4):
        batches.set_epoch(5, first_step)
        assert (len(loader), len(batches), batches.num_steps) == (3 - first_step, 3 - first_step, 3)
        assert_equal(list(loader), whole[first_step:])
    assert_equal(load_epochs(loader, batches, 5), whole)  # the next epoch starts at its first step


@pytest.mark.parametrize("num_workers", [0, 2])
def test_loading_leaves_the_global_generator_alone(num_workers: int, dataset: SliceDataset) -> None:
    training = SeededBatches(len(dataset), 3, seed=2)
    loaders = [
        create_loader(dataset, training, num_workers=num_workers),
        create_loader(dataset, OrderedBatches(len(dataset), 3), num_workers=num_workers),
    ]
    dataset.transform = SliceTransform((32, 48))  # without seeds only a plain slice draws nothing
    state = torch.get_rng_state()
    for loader in loaders:
        for _ in range(2):
            assert len(list(loader)) == 3
    assert torch.equal(state, torch.get_rng_state())


def test_a_padding_slice_says_so_in_its_batch(dataset: SliceDataset) -> None:
    batches = SeededBatches(5, 3, seed=2, rank=2, world_size=3)  # the last batch has two slices
    padded = [
        batch["is_padding"].tolist() for batch in create_loader(dataset, batches, num_workers=0)
    ]
    assert padded == [[False], [True]]
