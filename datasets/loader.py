"""Batches in an order, and with augmentations, that depend on seed and epoch alone."""

from collections.abc import Iterator
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset, Sampler


class SeededSampler(Sampler[tuple[int, int]]):
    """A random order per epoch; each index comes with the seed of its augmentation.

    Args:
        num_slices: Length of the data set.
        seed: The run's seed.
    """

    def __init__(self, num_slices: int, seed: int) -> None:
        self.num_slices = num_slices
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of that epoch, before it is iterated."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_slices

    def __iter__(self) -> Iterator[tuple[int, int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.num_slices, generator=generator)
        seeds = torch.randint(2**62, (self.num_slices,), generator=generator)
        return zip(order.tolist(), seeds.tolist(), strict=True)


def create_loader(
    dataset: Dataset[dict[str, Any]],
    *,
    batch_size: int,
    num_workers: int,
    pin_memory: bool = False,
    sampler: SeededSampler | None = None,
) -> DataLoader[dict[str, Any]]:
    """A loader in the sampler's order, or in the data set's own.

    Args:
        dataset: Slices.
        batch_size: Slices per batch; the last batch may be smaller.
        num_workers: Worker processes; 0 loads in the main process.
        pin_memory: Page-locked batches, for CUDA.
        sampler: The order of training.
    """
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        worker_init_fn=_start_worker,
    )


def _start_worker(_: int) -> None:
    """One thread per worker: the workers are the parallelism."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
