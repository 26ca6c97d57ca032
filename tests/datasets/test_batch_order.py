"""The order of slices and seeds, and its shares for several processes."""

import pytest
import torch

from datasets.batches import OrderedBatches, SeededBatches, SliceKey


def keys_of(batches: SeededBatches | OrderedBatches) -> list[SliceKey]:
    return [key for batch in batches for key in batch]


def order(num_slices: int, seed: int, epoch: int) -> list[tuple[int, int]]:
    """Indices and seeds of an epoch."""
    batches = SeededBatches(num_slices, 3, seed)
    batches.set_epoch(epoch)
    return [(key.index, key.seed) for key in keys_of(batches)]


@pytest.mark.parametrize("num_slices", [1, 2, 50])
def test_an_epoch_is_a_permutation_of_the_slices(num_slices: int) -> None:
    indices = [index for index, _ in order(num_slices, seed=2, epoch=3)]
    assert sorted(indices) == list(range(num_slices))


@pytest.mark.parametrize(
    ("num_slices", "batch_size", "sizes"),
    [(7, 3, [3, 4]), (8, 3, [3, 3, 2]), (9, 3, [3, 3, 3]), (1, 3, [1]), (3, 1, [1, 1, 1])],
)
def test_a_lone_last_slice_joins_the_batch_before_it(
    num_slices: int, batch_size: int, sizes: list[int]
) -> None:
    batches = SeededBatches(num_slices, batch_size, seed=2)
    assert [len(batch) for batch in batches] == sizes
    assert len(batches) == batches.num_steps == len(sizes)


def test_order_and_seeds_are_those_of_earlier_versions() -> None:
    # A checkpoint of an earlier version goes on with the batches that it would have had.
    indices, seeds = zip(*order(5, seed=2, epoch=3), strict=True)
    assert indices == (3, 2, 1, 4, 0)
    assert seeds == (
        3_595_327_066_419_098_529,
        2_317_882_463_497_298_801,
        2_980_412_700_988_219_847,
        2_041_380_783_907_907_450,
        3_597_008_036_113_397_281,
    )


def test_order_and_seeds_depend_on_seed_and_epoch_alone() -> None:
    torch.manual_seed(0)
    first = order(50, seed=2, epoch=3)
    torch.manual_seed(1)
    batches = SeededBatches(50, 3, seed=2)
    for epoch in (7, 3):  # what was iterated before does not matter
        batches.set_epoch(epoch)
        again = keys_of(batches)
    assert [(key.index, key.seed) for key in again] == first
    assert keys_of(batches) == again


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


def test_the_order_leaves_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    order(50, seed=2, epoch=3)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("first_step", [-1, 4])
def test_an_epoch_has_no_steps_outside_it(first_step: int) -> None:
    batches = SeededBatches(8, 3, seed=2)
    with pytest.raises(ValueError, match="of an epoch of 3 steps"):
        batches.set_epoch(1, first_step)


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 5, 8])
def test_the_shares_of_a_batch_put_together_are_the_batch(batch_size: int, world_size: int) -> None:
    for num_slices in range(1, 30):
        alone = SeededBatches(num_slices, batch_size, seed=4)
        shares = [
            SeededBatches(num_slices, batch_size, 4, rank, world_size) for rank in range(world_size)
        ]
        for batches in (alone, *shares):
            batches.set_epoch(6)
        assert {len(list(share)) for share in shares} == {alone.num_steps}
        for batch, *parts in zip(alone, *shares, strict=True):
            real = [[key for key in part if not key.is_padding] for part in parts]
            assert [key for part in real for key in part] == batch
            counts = [len(part) for part in real]
            assert counts == sorted(counts, reverse=True)
            assert counts[0] - counts[-1] <= 1
            # A process without a share keeps step with the batch's first slice.
            padding = [batch[0]._replace(is_padding=True)]
            assert all(part == padding for part, own in zip(parts, real, strict=True) if not own)


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 5, 8])
def test_evaluation_deals_every_slice_to_one_process(batch_size: int, world_size: int) -> None:
    for num_slices in range(1, 30):
        alone = list(OrderedBatches(num_slices, batch_size))
        assert [key.index for batch in alone for key in batch] == list(range(num_slices))
        assert {len(batch) for batch in alone[:-1]} <= {batch_size}
        for rank in range(world_size):
            share = OrderedBatches(num_slices, batch_size, rank, world_size)
            assert list(share) == alone[rank::world_size]
            assert len(share) == len(list(share))
